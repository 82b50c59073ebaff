import Crypto
import Foundation
import HTTPTypes
import Hummingbird
import NIOCore
import Viseme
import VisemeStreaming

/// `/v1/renders`: jobs that render speech to a video file.
struct RenderRoutes: Sendable {
    /// A job in a response.
    struct Document: Codable, Sendable, Equatable {
        var id: String
        var avatar: String
        var state: RenderJob.State
        var createdAt: Date
        var endedAt: Date?
        var framesDone: Int
        var framesTotal: Int
        var resultBytes: Int?
        var error: RenderJob.Failure?

        init(_ job: RenderJob, framesDone: Int) {
            id = job.id
            avatar = job.avatar
            state = job.state
            createdAt = job.createdAt
            endedAt = job.endedAt
            self.framesDone = framesDone
            framesTotal = job.framesTotal
            resultBytes = job.resultBytes
            error = job.failure
        }
    }

    /// The last event of a job that is deleted.
    struct Deleted: Codable, Sendable {
        var id: String
    }

    /// The response to `GET /v1/renders`.
    struct List: Codable, Sendable {
        var renders: [Document]
    }

    let queue: RenderQueue
    let configuration: ServerConfiguration
    let library: AvatarLibrary

    /// Adds the routes.
    func add(to routes: some RouterMethods<ServerContext>) {
        let group = routes.group("v1/renders")
        group.post { request, context in try await create(request, context) }
        group.get { _, context in
            let jobs = try await queue.jobs(of: owner(context))
            return Response.json(List(renders: jobs.map { Document($0.job, framesDone: $0.framesDone) }))
        }
        group.get(":id") { _, context in
            let (job, framesDone) = try await job(context)
            return Response.json(Document(job, framesDone: framesDone))
        }
        group.get(":id/events") { _, context in events(try await job(context).job.id) }
        group.get(":id/result") { request, context in
            try await result(try await job(context).job, request, context)
        }
        group.head(":id/result") { request, context in
            let answer = try await result(try await job(context).job, request, context)
            return Response(status: answer.status, headers: answer.headers)
        }
        group.delete(":id") { _, context in
            let id = try await job(context).job.id
            guard try await queue.remove(id) else { throw missing(id) }
            return Response(status: .noContent)
        }
    }

    // MARK: Creating

    private func create(_ request: Request, _ context: ServerContext) async throws -> Response {
        let wanted = request.uri.queryParameters.get("avatar")
        let avatar = if let wanted { wanted } else { try await library.defaultID() }
        _ = try await library.pack(avatar)
        let key = request.headers[.idempotencyKey]
        guard key.map({ (1...200).contains($0.utf8.count) }) ?? true else {
            throw VisemeError(.usage, "The Idempotency-Key has \(key?.utf8.count ?? 0) bytes, expected 1…200")
        }
        if request.headers[.contentType]?.lowercased().hasPrefix("multipart/") ?? false {
            throw VisemeError(
                .unsupported, "The body is a form with several parts, expected the bytes of the speech alone",
                hint: "curl --data-binary @speech.wav instead of curl -F")
        }
        let body = try BoundedBody(request, configuration)
        let owner = owner(context)
        let text = try await text(of: request, body)
        // Looked up before the text is spoken: a retry does not run the program again.
        if let text, let key,
            let (job, framesDone) = try await queue.repeated(
                owner: owner, key: key, digest: "\(avatar) \(text.digest)")
        {
            return answer(job, framesDone: framesDone, isNew: false)
        }

        let id = try await queue.beginUpload(client: context.client)
        do {
            let upload = try RenderUpload(to: queue.files.speech(of: id)) { [queue] in try await queue.reserve($0) }
            if let text {
                try await configuration.textToSpeech().speak(text.words, voice: text.voice) { output in
                    (try await upload.append(contentsOf: output), true)
                }
            } else {
                for try await piece in body { try await upload.append(piece) }
            }
            let uploaded = try await upload.finish()
            let (job, isNew) = try await queue.accept(
                id, avatar: avatar, owner: owner, key: key,
                digest: "\(avatar) \(text?.digest ?? "speech \(uploaded)")")
            return answer(job, framesDone: try await queue.job(job.id)?.framesDone ?? 0, isNew: isNew)
        } catch {
            await queue.abandon(id)
            throw error
        }
    }

    private func answer(_ job: RenderJob, framesDone: Int, isNew: Bool) -> Response {
        var response = Response.json(Document(job, framesDone: framesDone), status: isNew ? .accepted : .ok)
        response.headers[.location] = "/v1/renders/\(job.id)"
        return response
    }

    /// A text to speak.
    private struct Text: Sendable {
        var words: String
        var voice: String

        /// Identifies the request. Not a hash of the speech: a program may speak the same text differently next time.
        var digest: String { "text \(voice) \(hexDigest(of: words))" }
    }

    /// The text of a request; nil when its body is speech, which is not read here.
    private func text(of request: Request, _ body: BoundedBody) async throws -> Text? {
        guard request.headers[.contentType]?.lowercased().hasPrefix("text/plain") ?? false else { return nil }
        let voice = request.uri.queryParameters.get("voice") ?? configuration.voice
        return Text(words: try await words(in: body), voice: voice)
    }

    /// The text of a body.
    ///
    /// - Throws: `.tooLarge` beyond the limit, `.usage` when it is empty or not UTF-8.
    private func words(in body: BoundedBody) async throws -> String {
        let limit = configuration.maxTextCharacters
        var text = Data()
        for try await piece in body {
            text += piece
            guard text.count <= 4 * limit else { break }
        }
        guard let words = String(validating: text, as: UTF8.self) else {
            throw VisemeError(.usage, "The text is not UTF-8")
        }
        guard words.count <= limit, text.count <= 4 * limit else {
            throw VisemeError(.tooLarge, "The text has more than \(limit) characters")
        }
        guard words.contains(where: { !$0.isWhitespace }) else {
            throw VisemeError(.usage, "The text is empty")
        }
        return words
    }

    // MARK: Watching

    private func events(_ id: String) -> Response {
        EventStream.response { writer in
            let stream = EventStream()
            var last: Document?
            var unchanged = 0
            while true {
                guard let (job, framesDone) = try await queue.job(id) else {
                    return try await writer.write(try stream.event("deleted", Deleted(id: id)))
                }
                let now = Document(job, framesDone: framesDone)
                unchanged += 1
                if now != last {
                    try await writer.write(try stream.event("render", now))
                    last = now
                    unchanged = 0
                } else if unchanged % 60 == 0 {
                    try await writer.write(EventStream.pulse)
                }
                if job.isEnded { return }
                // One read of a row; more often would not be visible.
                try await Task.sleep(for: .milliseconds(250))
            }
        }
    }

    // MARK: Fetching

    private func result(_ job: RenderJob, _ request: Request, _ context: ServerContext) async throws -> Response {
        guard job.state == .finished, let size = job.resultBytes else {
            throw VisemeError(
                .conflict, "Render \(job.id) has no result: it is \(job.state.rawValue)",
                hint: job.failure?.message ?? "Wait for GET /v1/renders/\(job.id)/events to end.")
        }
        // A job's result never changes.
        let tag = "\"\(job.id)\""
        var headers: HTTPFields = [
            .contentType: "video/mp4", .acceptRanges: "bytes", .eTag: tag,
            .cacheControl: "private, max-age=31536000, immutable",
            .contentDisposition: "inline; filename=\"viseme-\(job.id.prefix(8)).mp4\"",
        ]
        if request.headers[values: .ifNoneMatch].contains(where: { $0.contains(tag) || $0 == "*" }) {
            return Response(status: .notModified, headers: headers)
        }
        let isStale = request.headers[.ifRange].map { $0 != tag } ?? false
        let path = queue.files.result(of: job.id).path
        switch ByteRange(isStale ? nil : request.headers[.range], size: size) {
        case .whole:
            headers[.contentLength] = String(size)
            return Response(
                status: .ok, headers: headers, body: try await FileIO().loadFile(path: path, context: context))
        case .part(let range):
            headers[.contentLength] = String(range.count)
            headers[.contentRange] = "bytes \(range.lowerBound)-\(range.upperBound)/\(size)"
            return Response(
                status: .partialContent, headers: headers,
                body: try await FileIO().loadFile(path: path, range: range, context: context))
        case .unsatisfiable:
            let failure = FailureDocument.Failure(
                code: VisemeError.Code.usage.rawValue, message: "The range is outside the result of \(size) bytes",
                hint: "Ask for a range within bytes=0-\(size - 1).")
            var response = Response.json(FailureDocument(error: failure), status: .rangeNotSatisfiable)
            response.headers[.contentRange] = "bytes */\(size)"
            return response
        }
    }

    // MARK: Owners

    /// The name of the request's API key; empty where the server has no keys.
    private func owner(_ context: ServerContext) -> String { configuration.apiKeys.isEmpty ? "" : context.client }

    private func job(_ context: ServerContext) async throws -> (job: RenderJob, framesDone: Int) {
        let id = try context.parameters.require("id")
        guard let found = try await queue.job(id), found.job.owner == owner(context) else { throw missing(id) }
        return found
    }

    private func missing(_ id: String) -> VisemeError {
        VisemeError(.notFound, "There is no render '\(id.prefix(64))'", hint: "GET /v1/renders lists yours.")
    }
}

extension HTTPField.Name {
    /// Identifies a request, so that a retry does not create another job.
    static let idempotencyKey = name("Idempotency-Key")
}
