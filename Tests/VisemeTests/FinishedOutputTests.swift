import Foundation
import Synchronization
import Testing
import VisemeTestSupport

@testable import Viseme

@Suite("Finished output")
struct FinishedOutputTests {
    private final class End: Sendable {
        private let state = Mutex(false)
        var isReached: Bool { state.withLock { $0 } }
        func reach() { state.withLock { $0 = true } }
    }

    private static func write(_ text: String, to url: URL, asFolder: Bool) throws {
        if asFolder {
            try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
            try Data(text.utf8).write(to: url.appending(path: "content"))
        } else {
            try Data(text.utf8).write(to: url)
        }
    }

    private static func read(_ url: URL, asFolder: Bool) -> String? {
        let file = asFolder ? url.appending(path: "content") : url
        return (try? Data(contentsOf: file)).map { String(decoding: $0, as: UTF8.self) }
    }

    /// Somebody who looks all the time sees what is left when the program is killed at that time.
    @Test("At any moment the name holds the old or the new output, whole", arguments: [false, true])
    func atAnyMoment(asFolder: Bool) async throws {
        try await withTemporaryFolder { folder in
            let target = folder.appending(path: "output")
            try Self.write("0", to: target, asFolder: asFolder)
            let end = End()
            let (looks, misses) = try await withThrowingTaskGroup(of: (Int, Int).self) { group in
                group.addTask {
                    var (looks, misses) = (0, 0)
                    while !end.isReached {
                        looks += 1
                        if access(target.path, F_OK) != 0 { misses += 1 }
                    }
                    return (looks, misses)
                }
                group.addTask {
                    defer { end.reach() }
                    for number in 1...2000 {
                        let made = folder.appending(path: ".made-\(number)")
                        try Self.write("\(number)", to: made, asFolder: asFolder)
                        try FinishedOutput.publish(made, as: target)
                        #expect(Self.read(target, asFolder: asFolder) == "\(number)")
                    }
                    return (0, 0)
                }
                return try await group.reduce((0, 0)) { ($0.0 + $1.0, $0.1 + $1.1) }
            }
            #expect(looks > 2000 && misses == 0)
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["output"])
        }
    }

    @Test("A folder replaces a file, a file a folder, and both nothing", arguments: [false, true])
    func otherKind(asFolder: Bool) async throws {
        try await withTemporaryFolder { folder in
            let (target, made) = (folder.appending(path: "output"), folder.appending(path: ".made"))
            for old in [nil, false, true] as [Bool?] {
                try? FileManager.default.removeItem(at: target)
                if let old { try Self.write("old", to: target, asFolder: old) }
                try Self.write("new", to: made, asFolder: asFolder)
                try FinishedOutput.publish(made, as: target)
                #expect(Self.read(target, asFolder: asFolder) == "new")
                #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["output"])
            }
        }
    }

    @Test("Two steps do the same where one is not possible")
    func twoSteps() async throws {
        try await withTemporaryFolder { folder in
            let (target, made) = (folder.appending(path: "output"), folder.appending(path: ".made"))
            try Self.write("old", to: target, asFolder: true)
            try Self.write("new", to: made, asFolder: true)
            try FinishedOutput.replaceInTwoSteps(made, target)
            #expect(Self.read(target, asFolder: true) == "new")
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["output"])
            // What cannot take its place leaves the old one where it was.
            #expect(throws: (any Error).self) { try FinishedOutput.replaceInTwoSteps(made, target) }
            #expect(Self.read(target, asFolder: true) == "new")
        }
    }

    @Test("A folder that is not there is an error with the name")
    func nowhere() async throws {
        try await withTemporaryFolder { folder in
            let made = folder.appending(path: ".made")
            try Self.write("new", to: made, asFolder: false)
            let error = #expect(throws: VisemeError.self) {
                try FinishedOutput.publish(made, as: folder.appending(path: "no/output"))
            }
            #expect(error?.code == .cannotCreate && error?.message.contains("no/output") == true)
        }
    }
}
