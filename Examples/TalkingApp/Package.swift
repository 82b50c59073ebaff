// swift-tools-version: 6.2
import PackageDescription

let macOS = TargetDependencyCondition.when(platforms: [.macOS, .linux])

let package = Package(
    name: "TalkingApp",
    platforms: [.macOS(.v15), .iOS(.v18)],
    dependencies: [.package(name: "Viseme", path: "../..", traits: [])],
    targets: [
        // What needs no screen and no loudspeaker; it compiles on Linux as well.
        .target(
            name: "Talking",
            dependencies: [
                .product(name: "Viseme", package: "Viseme"),
                .product(name: "VisemeModels", package: "Viseme"),
            ]),
        .executableTarget(
            name: "TalkingApp",
            dependencies: [
                "Talking",
                .product(name: "VisemeCoreML", package: "Viseme"),
                .product(name: "VisemeONNX", package: "Viseme", condition: macOS),
                .product(name: "VisemeFFmpeg", package: "Viseme", condition: macOS),
            ]),
    ])
