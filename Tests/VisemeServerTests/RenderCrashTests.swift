import Foundation
import NIOCore
import Testing
import VisemeTestSupport
import VisemeFFmpeg
@testable import VisemeServer

#if canImport(FoundationNetworking)
    import FoundationNetworking
#endif
#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

@Suite("Render jobs and SIGKILL", .enabled(if: Repository.canRunModels, "ONNX Runtime is not in .deps: run make setup"))
struct RenderCrashTests {
    @Test("Whenever the server is killed while it works on 20 jobs, all 20 finish, each once")
    func killed() async throws {
        try await withTemporaryFolder { folder in
            let data = folder.appending(path: "data")
            let renders = data.appending(path: "renders")
            let speech = (0..<20).map { Data(wave(tone(seconds: 1 + Double($0) / 20)).readableBytesView) }
            var random = SeededRandom(20)
            var accepted: [String: Int] = [:]
            var finished: [String: UInt64] = [:]
            var kills = 0

            /// Files that have the final name: once there, they stay the same.
            func results() throws -> [String: UInt64] {
                var found: [String: UInt64] = [:]
                for id in try FileManager.default.contentsOfDirectory(atPath: renders.path) {
                    let path = renders.appending(path: "\(id)/result.mp4").path
                    guard FileManager.default.fileExists(atPath: path) else { continue }
                    let attributes = try FileManager.default.attributesOfItem(atPath: path)
                    found[id] = (attributes[.systemFileNumber] as? NSNumber)?.uint64Value
                }
                return found
            }

            while finished.count < 20 {
                try #require(kills < 40, "20 jobs do not come to an end: \(finished.count) finished")
                let server = try await ServedProcess(data: data)
                // Longer each time: on a slow machine, too, something gets done in the end.
                let life = Duration.milliseconds(Int.random(in: 50...400, using: &random) + 60 * kills)
                let kill = Task {
                    try await Task.sleep(for: life)
                    server.kill()
                }
                // Jobs are asked for while the server dies; what was answered is accepted, what was not is asked for again.
                for number in 0..<20 where !accepted.values.contains(number) {
                    guard let job = try? await server.post(speech[number], key: "job-\(number)") else { break }
                    accepted[job.id] = number
                }
                try await kill.value
                kills += 1
                let now = try results()
                for (id, inode) in finished { #expect(now[id] == inode, "the result of \(id) was written twice") }
                finished = now
            }
            #expect(accepted.count == 20)

            let server = try await ServedProcess(data: data)
            let jobs = try await server.list()
            #expect(Set(jobs.map(\.id)) == Set(accepted.keys), "nothing accepted is lost, and nothing is there twice")
            #expect(jobs.allSatisfy { $0.state == .finished })
            #expect(server.stop() == 0)
            #expect(try results() == finished)
            for (id, number) in accepted {
                let summary = try await FFmpeg().probe(renders.appending(path: "\(id)/result.mp4"))
                #expect(summary.video?.packets == Int(((1 + Double(number) / 20) * 25).rounded(.up)))
                let left = try FileManager.default.contentsOfDirectory(atPath: renders.appending(path: id).path)
                    .sorted()
                #expect(left == ["result.mp4", "speech"])
            }
            print("killed \(kills) times")
        }
    }
}

extension ServedProcess {
    fileprivate func post(_ body: Data, key: String) async throws -> RenderRoutes.Document {
        var request = URLRequest(url: try #require(URL(string: "\(address)/v1/renders?avatar=tiny")))
        request.httpMethod = "POST"
        request.httpBody = body
        request.setValue(key, forHTTPHeaderField: "Idempotency-Key")
        return try await document(RenderRoutes.Document.self, request)
    }

    fileprivate func list() async throws -> [RenderRoutes.Document] {
        let url = try #require(URL(string: "\(address)/v1/renders"))
        return try await document(RenderRoutes.List.self, URLRequest(url: url)).renders
    }

    private func document<Value: Decodable>(_ type: Value.Type, _ request: URLRequest) async throws -> Value {
        let (data, _) = try await URLSession.shared.data(for: request)
        let decoder = JSONDecoder()
        decoder.dateDecodingStrategy = .iso8601
        return try decoder.decode(type, from: data)
    }
}
