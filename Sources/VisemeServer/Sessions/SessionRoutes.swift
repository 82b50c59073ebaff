import Foundation
import HTTPTypes
import Hummingbird
import NIOCore
import Viseme
import VisemeFFmpeg
import VisemeStreaming

/// `/v1/sessions`: live sessions.
struct SessionRoutes: Sendable {
    /// The body that creates a session.
    private struct CreateRequest: Decodable {
        var avatar: String?
    }

    /// The response to it.
    struct Document: Codable, Sendable {
        var id: String
        /// Authorizes all requests to the session; sent once.
        var secret: String
        var avatar: String
        var width: Int
        var height: Int
        var codecs: String
        var idleSeconds: Int
    }

    /// The body of a text to say.
    private struct SayRequest: Decodable {
        var text: String
        var voice: String?
        var utterance: String?
    }

    let sessions: Sessions
    let library: AvatarLibrary
    let media: FFmpeg
    let configuration: ServerConfiguration

    /// Adds the routes.
    ///
    /// - Parameter keyed: The group of routes that need an API key.
    func add(to routes: some RouterMethods<ServerContext>, keyed: some RouterMethods<ServerContext>) {
        keyed.group("v1/sessions").post { request, context in try await create(request, context) }
        let group = routes.group("v1/sessions")
        group.delete(":id") { request, context in
            try await find(request, context).end()
            return Response(status: .noContent)
        }
        group.post(":id/audio") { request, context in
            let input = SpeechInput(into: try await find(request, context), media: media)
            let body = try BoundedBody(request, configuration)
            let (utterance, isWhole) = try request.utterance
            if let samples = try request.rawSamples {
                return Response.json(
                    try await input.say(samples, from: body, utterance: utterance, isWhole: isWhole),
                    status: .accepted)
            }
            return Response.json(try await input.say(containerFrom: body, utterance: utterance), status: .accepted)
        }
        group.post(":id/finish") { request, context in
            try await find(request, context).finish()
            return Response(status: .noContent)
        }
        group.post(":id/say") { request, context in try await say(request, context) }
        group.post(":id/interrupt") { request, context in
            try await find(request, context).interrupt()
            return Response(status: .noContent)
        }
        group.get(":id/stream.mp4") { request, context in try await stream(.mp4, request, context) }
        group.get(":id/stream.ts") { request, context in try await stream(.ts, request, context) }
        group.get(":id/units") { request, context in try await units(request, context) }
        group.get(":id/events") { request, context in try await events(request, context) }
    }

    private func create(_ request: Request, _ context: ServerContext) async throws -> Response {
        let avatar = try await request.json(CreateRequest.self).avatar
        let id = if let avatar { avatar } else { try await library.defaultID() }
        let (session, secret) = try await sessions.create(avatar: id, client: context.client)
        let manifest = session.avatar.engine.avatar.manifest
        var response = Response.json(
            Document(
                id: session.id, secret: secret, avatar: id, width: manifest.width, height: manifest.height,
                codecs: session.avatar.format.codecs, idleSeconds: configuration.sessionIdleSeconds), status: .created)
        response.headers[.location] = "/v1/sessions/\(session.id)"
        return response
    }

    private func find(_ request: Request, _ context: ServerContext) async throws -> Conversation {
        let secret = request.headers[.sessionSecret] ?? request.uri.queryParameters.get("secret")
        let session = try await sessions.find(try context.parameters.require("id"), secret: secret)
        await session.touch()
        return session
    }

    private func say(_ request: Request, _ context: ServerContext) async throws -> Response {
        let session = try await find(request, context)
        let asked = try await request.json(SayRequest.self)
        let text = asked.text.trimmingCharacters(in: .whitespacesAndNewlines.union(.controlCharacters))
        guard !text.isEmpty else { throw VisemeError(.usage, "\"text\" is empty") }
        guard text.count <= configuration.maxTextCharacters, text.utf8.count <= 4 * configuration.maxTextCharacters
        else {
            throw VisemeError(
                .tooLarge, "The text is longer than \(configuration.maxTextCharacters) characters",
                hint: "Send it sentence by sentence.")
        }
        let command = try configuration.textToSpeech()
        let input = SpeechInput(into: session, media: media)
        return Response.json(
            try await input.say(text, voice: asked.voice, by: command, utterance: asked.utterance), status: .accepted)
    }

    // MARK: Watching

    private func stream(
        _ container: LiveRequest.Container, _ request: Request, _ context: ServerContext
    ) async throws -> Response {
        let session = try await find(request, context)
        let channel = context.channel
        let muxer = try LiveMuxer(
            session.avatar.format, container: container, software: media.software,
            notice: session.avatar.engine.untrainedNotice)
        let (number, reader) = try await session.watch { channel.close(promise: nil) }
        let isMP4 = container == .mp4
        let type = isMP4 ? "video/mp4; codecs=\"\(session.avatar.format.codecs)\"" : "video/mp2t"
        // Proxies must not buffer a live stream.
        let headers: HTTPFields = [.contentType: type, .cacheControl: "no-store", .accelBuffering: "no"]
        return Response(
            status: .ok, headers: headers,
            body: ResponseBody { writer in
                do {
                    let header = await muxer.header()
                    if !header.isEmpty { try await writer.write(ByteBuffer(bytes: header)) }
                    for await unit in reader.elements {
                        let bytes = try await muxer.write(unit)
                        if !bytes.isEmpty { try await writer.write(ByteBuffer(bytes: bytes)) }
                    }
                    let rest = try await muxer.finish()
                    if !rest.isEmpty { try await writer.write(ByteBuffer(bytes: rest)) }
                    await session.leave(number)
                    try await writer.finish(nil)
                } catch {
                    await session.leave(number)
                    throw error
                }
            })
    }

    private func units(_ request: Request, _ context: ServerContext) async throws -> Response {
        let session = try await find(request, context)
        let kept = try request.keptTemplates(of: session.avatar.engine.avatar.manifest.frames)
        let channel = context.channel
        let (number, reader) = try await session.read(keeping: kept, hasShapes: try request.wantsVisemes) {
            channel.close(promise: nil)
        }
        let headers: HTTPFields = [
            .contentType: "application/octet-stream", .cacheControl: "no-store", .accelBuffering: "no",
        ]
        return Response(
            status: .ok, headers: headers,
            body: ResponseBody { writer in
                do {
                    for await record in reader.elements {
                        var buffer = ByteBuffer()
                        buffer.reserveCapacity(record.byteCount)
                        for part in [record.header.bytes, record.picture, record.sound] { buffer.writeBytes(part) }
                        try await writer.write(buffer)
                    }
                    await session.leaveUnits(number)
                    try await writer.finish(nil)
                } catch {
                    await session.leaveUnits(number)
                    throw error
                }
            })
    }

    private func events(_ request: Request, _ context: ServerContext) async throws -> Response {
        let session = try await find(request, context)
        let channel = context.channel
        // Before the response begins, so that exceeding the limit is an error response, not a broken stream.
        let (number, reader) = try await session.listen(hasShapes: try request.wantsVisemes) {
            channel.close(promise: nil)
        }
        return EventStream.response { writer in
            do {
                let stream = EventStream()
                for await notice in reader.elements {
                    let event =
                        switch notice {
                        case .status(let status): try stream.event("status", status)
                        case .utterance(let utterance): try stream.event("utterance", utterance)
                        case .mouth(let shape, let time):
                            stream.event("visemes", json: VisemeWriter.object(shape, time: time))
                        }
                    try await writer.write(event)
                }
                await session.leaveEvents(number)
            } catch {
                await session.leaveEvents(number)
                throw error
            }
        }
    }
}

extension HTTPField.Name {
    /// A custom header name.
    static func name(_ text: String) -> HTTPField.Name {
        guard let name = HTTPField.Name(text) else { preconditionFailure("'\(text)' is a header's name") }
        return name
    }

    /// Carries a session's secret.
    static let sessionSecret = name("Viseme-Session-Secret")
    static let accelBuffering = name("X-Accel-Buffering")
}
