// swift-tools-version: 6.2
import PackageDescription

// An app that wants the engine without the server: scripts/check-library-user.sh builds it from nothing.
let package = Package(
    name: "LibraryUser", platforms: [.macOS(.v15)],
    dependencies: [.package(name: "viseme", path: "../..", traits: [])],
    targets: [
        .executableTarget(
            name: "Speaker",
            dependencies: [
                .product(name: "Viseme", package: "viseme"), .product(name: "VisemeONNX", package: "viseme"),
                .product(name: "VisemeFFmpeg", package: "viseme"), .product(name: "VisemeModels", package: "viseme"),
            ])
    ])
