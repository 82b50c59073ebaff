import Foundation

#if canImport(FoundationNetworking)
    import FoundationNetworking
#endif

/// Lets an avatar say a sound file, live and rendered (render.mp4). Usage: talk speech.wav [avatar]
@main
enum Talk {
    struct Session: Decodable {
        var id: String
        var secret: String
    }

    struct Job: Decodable {
        var id: String
        var state: String
        var framesDone: Int
        var framesTotal: Int
    }

    struct Receipt: Decodable {
        var seconds: Double
    }

    struct Refusal: Decodable, Error {
        struct Reason: Decodable {
            var code: String
            var message: String
            var hint: String?
        }
        var error: Reason
    }

    static let environment = ProcessInfo.processInfo.environment
    static let server = environment["VISEME_SERVER"] ?? "http://127.0.0.1:8080"

    static func main() async throws {
        let arguments = CommandLine.arguments
        guard arguments.count > 1 else { return print("usage: talk speech.wav [avatar]") }
        let speech = try Data(contentsOf: URL(filePath: arguments[1]))
        let avatar = arguments.count > 2 ? arguments[2] : "robin"
        do {
            try await live(speech, avatar)
            try await render(speech, avatar)
        } catch let refusal as Refusal {
            print(refusal.error.message, refusal.error.hint ?? "")
            exit(1)
        }
    }

    static func live(_ speech: Data, _ avatar: String) async throws {
        let body = try JSONEncoder().encode(["avatar": avatar])
        let created = try await call("POST", "/v1/sessions", body, ["Content-Type": "application/json"])
        let session = try JSONDecoder().decode(Session.self, from: created)
        let here = "/v1/sessions/\(session.id)"
        print("watch: ffplay -fflags nobuffer '\(server)\(here)/stream.ts?secret=\(session.secret)'")
        let secret = ["Viseme-Session-Secret": session.secret]
        let receipt = try JSONDecoder().decode(
            Receipt.self, from: try await call("POST", "\(here)/audio", speech, secret))
        // All of it was taken; now it is being spoken.
        try await Task.sleep(for: .seconds(receipt.seconds))
        _ = try await call("DELETE", here, nil, secret)
    }

    static func render(_ speech: Data, _ avatar: String) async throws {
        // The same key with the same request gives the same job: send it again whenever the answer did not come.
        let accepted = try await call(
            "POST", "/v1/renders?avatar=\(avatar)", speech,
            ["Content-Type": "audio/wav", "Idempotency-Key": UUID().uuidString])
        var job = try JSONDecoder().decode(Job.self, from: accepted)
        let here = "/v1/renders/\(job.id)"
        while job.state == "queued" || job.state == "running" {
            print("\(job.state), \(job.framesDone) of \(job.framesTotal) frames")
            try await Task.sleep(for: .milliseconds(500))
            job = try JSONDecoder().decode(Job.self, from: try await call("GET", here))
        }
        try await call("GET", "\(here)/result").write(to: URL(filePath: "render.mp4"))
        _ = try await call("DELETE", here)
        print("render.mp4")
    }

    static func call(
        _ method: String, _ path: String, _ body: Data? = nil, _ headers: [String: String] = [:]
    ) async throws -> Data {
        guard let url = URL(string: server + path) else { throw URLError(.badURL) }
        var request = URLRequest(url: url)
        request.httpMethod = method
        request.httpBody = body
        request.timeoutInterval = 600
        for (name, value) in headers { request.setValue(value, forHTTPHeaderField: name) }
        if let key = environment["VISEME_KEY"] {
            request.setValue("Bearer \(key)", forHTTPHeaderField: "Authorization")
        }
        let (data, response) = try await URLSession.shared.data(for: request)
        guard let status = (response as? HTTPURLResponse)?.statusCode, status < 400 else {
            throw try JSONDecoder().decode(Refusal.self, from: data)
        }
        return data
    }
}
