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

// What `viseme serve` needs: an app that wants the engine alone (traits: []) does not even download it.
let served = TargetDependencyCondition.when(traits: ["Server"])

let package = Package(
    name: "Viseme",
    platforms: [.macOS(.v15), .iOS(.v18)],
    products: [
        .library(name: "Viseme", targets: ["Viseme"]),
        .library(name: "VisemeONNX", targets: ["VisemeONNX"]),
        .library(name: "VisemeCoreML", targets: ["VisemeCoreML"]),
        .library(name: "VisemeModels", targets: ["VisemeModels"]),
        .library(name: "VisemeFFmpeg", targets: ["VisemeFFmpeg"]),
        .library(name: "VisemeFaces", targets: ["VisemeFaces"]),
        .library(name: "VisemeServer", targets: ["VisemeServer"]),
        .executable(name: "viseme", targets: ["VisemeCLI"]),
    ],
    traits: [
        .trait(name: "Server", description: "Live sessions over HTTP: VisemeServer and `viseme serve`."),
        .default(enabledTraits: ["Server"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-protobuf", from: "1.39.0"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1", traits: ["FullFoundation"]),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/swiftlang/swift-subprocess", from: "1.0.2"),
        .package(url: "https://github.com/apple/swift-system", from: "1.8.1"),
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

        // Faces and their landmarks, and what they tell of an avatar: three megabytes of models that nothing else needs.
        .target(
            name: "VisemeFaces", dependencies: ["Viseme", "VisemeFFmpeg", "VisemeModels"],
            resources: [.copy("Models")], swiftSettings: settings),

        // Live sessions for many viewers: conversations, streams and text-to-speech. No HTTP.
        .target(
            name: "VisemeStreaming",
            dependencies: [
                "Viseme", "VisemeFFmpeg",
                .product(name: "Subprocess", package: "swift-subprocess", condition: served),
                .product(
                    name: "SystemPackage", package: "swift-system",
                    condition: .when(platforms: [.linux], traits: ["Server"])),
            ],
            swiftSettings: settings),

        // HTTP: sessions, render jobs and the page. It never picks what runs the models.
        .target(
            name: "VisemeServer",
            dependencies: [
                "Viseme", "VisemeFFmpeg", "VisemeStreaming",
                .product(name: "Hummingbird", package: "hummingbird", condition: served),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle", condition: served),
                .product(name: "HTTPTypes", package: "swift-http-types", condition: served),
                .product(name: "Logging", package: "swift-log", condition: served),
                .product(name: "NIOCore", package: "swift-nio", condition: served),
                .product(name: "NIOHTTP1", package: "swift-nio", condition: served),
                .product(name: "Crypto", package: "swift-crypto", condition: served),
                .product(name: "GRDB", package: "GRDB.swift", condition: served),
            ],
            resources: [.copy("Page/Static"), .copy("openapi.json")], swiftSettings: settings),

        // The only place that picks adapters.
        .executableTarget(
            name: "VisemeCLI",
            dependencies: [
                "Viseme", "VisemeONNX", "VisemeCoreML", "VisemeFFmpeg", "VisemeModels", "VisemeFaces",
                .target(name: "VisemeServer", condition: served),
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log", condition: served),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle", condition: served),
            ],
            swiftSettings: settings),

        // What several test targets need.
        .target(name: "CAllocationCount", path: "Tests/CAllocationCount"),
        .target(
            name: "VisemeTestSupport", dependencies: ["Viseme", "VisemeFFmpeg", "CAllocationCount"],
            path: "Tests/VisemeTestSupport",
            swiftSettings: settings),
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
            name: "VisemeFacesTests",
            dependencies: ["Viseme", "VisemeONNX", "VisemeFFmpeg", "VisemeModels", "VisemeFaces", "VisemeTestSupport"],
            resources: [.copy("Golden")], swiftSettings: settings),
        .testTarget(
            name: "VisemeStreamingTests",
            dependencies: [
                "Viseme", "VisemeONNX", "VisemeFFmpeg", "VisemeModels", "VisemeStreaming", "VisemeTestSupport",
            ],
            swiftSettings: settings),
        .testTarget(
            name: "VisemeServerTests",
            dependencies: [
                "Viseme", "VisemeONNX", "VisemeFFmpeg", "VisemeModels", "VisemeServer", "VisemeStreaming",
                "VisemeTestSupport",
                .product(name: "Hummingbird", package: "hummingbird", condition: served),
                .product(name: "HummingbirdTesting", package: "hummingbird", condition: served),
                .product(name: "HTTPTypes", package: "swift-http-types", condition: served),
                .product(name: "Logging", package: "swift-log", condition: served),
                .product(name: "NIOCore", package: "swift-nio", condition: served),
                .product(name: "GRDB", package: "GRDB.swift", condition: served),
            ],
            swiftSettings: settings),
        .testTarget(
            name: "VisemeCLITests",
            dependencies: ["Viseme", "VisemeONNX", "VisemeFFmpeg", "VisemeModels", "VisemeCLI", "VisemeTestSupport"],
            resources: [.copy("Golden")], swiftSettings: settings),
    ]
)
