// swift-tools-version: 6.2
import PackageDescription

// CI and the Makefile turn warnings into errors; a package that depends on Viseme is not affected.
let strict = Context.environment["VISEME_STRICT"] == "1"

let settings: [SwiftSetting] =
    [
        .enableUpcomingFeature("ExistentialAny"),
        .enableUpcomingFeature("MemberImportVisibility"),
        .enableUpcomingFeature("InternalImportsByDefault"),
        .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    ] + (strict ? [.treatAllWarnings(as: .error)] : [])

let package = Package(
    name: "Viseme",
    platforms: [.macOS(.v15), .iOS(.v18)],
    products: [
        .library(name: "Viseme", targets: ["Viseme"]),
        .library(name: "VisemeONNX", targets: ["VisemeONNX"]),
        .library(name: "VisemeCoreML", targets: ["VisemeCoreML"]),
        .library(name: "VisemeModels", targets: ["VisemeModels"]),
        .library(name: "VisemeFFmpeg", targets: ["VisemeFFmpeg"]),
        .executable(name: "viseme", targets: ["VisemeCLI"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-protobuf", from: "1.39.0"),
    ],
    targets: [
        // The engine: values, algorithms and the protocols at its edges. Foundation only.
        .target(name: "Viseme", swiftSettings: settings),

        // Model files: checkpoints, ONNX and Core ML, read, checked and written without Python.
        .target(
            name: "VisemeModels", dependencies: ["Viseme", .product(name: "SwiftProtobuf", package: "swift-protobuf")],
            swiftSettings: settings),

        // ONNX Runtime, loaded at run time: building needs nothing installed.
        .target(name: "COnnxRuntime"),
        .target(name: "VisemeONNX", dependencies: ["Viseme", "COnnxRuntime"], swiftSettings: settings),

        // Core ML on Apple systems; elsewhere only its plain parts compile.
        .target(name: "VisemeCoreML", dependencies: ["Viseme"], swiftSettings: settings),

        // libav*: decode, resample, encode, mux.
        .systemLibrary(
            name: "CFFmpeg", pkgConfig: "libavformat",
            providers: [
                .apt(["libavformat-dev", "libavcodec-dev", "libavutil-dev", "libswresample-dev", "libswscale-dev"]),
                .brew(["ffmpeg"]),
            ]),
        .target(name: "VisemeFFmpeg", dependencies: ["Viseme", "CFFmpeg"], swiftSettings: settings),

        // The only place that picks adapters.
        .executableTarget(
            name: "VisemeCLI",
            dependencies: [
                "Viseme", "VisemeONNX", "VisemeCoreML", "VisemeFFmpeg", "VisemeModels",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: settings),

        // What several test targets need.
        .target(name: "VisemeTestSupport", path: "Tests/VisemeTestSupport", swiftSettings: settings),
        .testTarget(
            name: "VisemeTests", dependencies: ["Viseme", "VisemeTestSupport"], resources: [.copy("Golden")],
            swiftSettings: settings),
        .testTarget(
            name: "VisemeONNXTests", dependencies: ["Viseme", "VisemeONNX", "COnnxRuntime", "VisemeTestSupport"],
            resources: [.copy("Models")], swiftSettings: settings),
        .testTarget(
            name: "VisemeModelsTests",
            dependencies: [
                "Viseme", "VisemeModels", "VisemeONNX", "VisemeFFmpeg", "VisemeTestSupport",
                .product(name: "SwiftProtobuf", package: "swift-protobuf"),
            ],
            resources: [.copy("Golden")], swiftSettings: settings),
        .testTarget(
            name: "BackendContractTests",
            dependencies: ["Viseme", "VisemeONNX", "VisemeCoreML", "VisemeModels", "VisemeTestSupport"],
            swiftSettings: settings),
        .testTarget(
            name: "VisemeFFmpegTests", dependencies: ["Viseme", "VisemeFFmpeg", "CFFmpeg", "VisemeTestSupport"],
            swiftSettings: settings),
        .testTarget(
            name: "VisemeCLITests",
            dependencies: ["Viseme", "VisemeONNX", "VisemeFFmpeg", "VisemeModels", "VisemeCLI", "VisemeTestSupport"],
            resources: [.copy("Golden")], swiftSettings: settings),
    ]
)
