// swift-tools-version: 6.2
import PackageDescription

// A client needs nothing of Viseme but its address.
let package = Package(
    name: "talk", platforms: [.macOS(.v15)], targets: [.executableTarget(name: "talk")])
