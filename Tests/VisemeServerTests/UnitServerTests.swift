import Foundation
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import NIOCore
import Testing
import Viseme
import VisemeFFmpeg
import VisemeModels
import VisemeONNX
import VisemeTestSupport

@testable import VisemeServer
@testable import VisemeStreaming

/// A record of a unit stream, read from its bytes alone.
private struct ReadUnit {
    var number, epoch: Int
    var state, flags, kind: UInt8
    var template, position: Int
    /// The mouth's parameters and visemes; empty where they were not asked for.
    var shape: [Float]
    var name: String
    var picture, sound: Data

    /// All records of a whole stream.
    static func all(_ bytes: Data) throws -> [ReadUnit] {
        let bytes = Array(bytes)
        var (at, units) = (0, [ReadUnit]())
        func integer(_ offset: Int, _ count: Int) -> Int {
            (0..<count).reversed().reduce(0) { $0 << 8 | Int(bytes[at + offset + $1]) }
        }
        while at < bytes.count {
            try #require(at + 56 <= bytes.count && bytes[at..<at + 4].elementsEqual("VSMU".utf8) && integer(4, 2) == 1)
            let (size, name, pictured, sounded) = (integer(6, 2), integer(19, 1), integer(28, 4), integer(40, 4))
            let start = at + size
            try #require(start + name + pictured + sounded <= bytes.count)
            units.append(
                ReadUnit(
                    number: integer(8, 4), epoch: integer(12, 4), state: bytes[at + 16], flags: bytes[at + 17],
                    kind: bytes[at + 18], template: integer(24, 4), position: integer(48, 8),
                    shape: stride(from: 56, to: size, by: 4).map { Float(bitPattern: UInt32(integer($0, 4))) },
                    name: String(decoding: bytes[start..<start + name], as: UTF8.self),
                    picture: Data(bytes[start + name..<start + name + pictured]),
                    sound: Data(bytes[start + name + pictured..<start + name + pictured + sounded])))
            at = start + name + pictured + sounded
        }
        return units
    }
}

@Suite(
    "Raw units over HTTP", .enabled(if: Repository.canRunModels, "ONNX Runtime is not in .deps: run make setup"),
    .serialized)
struct UnitServerTests {
    private let samples = "/audio?format=s16le&rate=16000"

    private func say(
        _ client: any TestClientProtocol, _ session: Begun, _ query: String, seconds: Double
    ) async throws -> TestResponse {
        try await client.execute(
            uri: session.path + samples + query, method: .post, headers: session.headers, body: tone(seconds: seconds))
    }

    @Test("Named speech in, units out: every unit, its pictures and sound, and one end for each name, as events, too")
    func units() async throws {
        try await TinyServer.test { client in
            let session = try await client.begin()
            async let streamed = client.get(session.path + "/units?templates=all", session.headers)
            async let told = client.get(session.path + "/events", session.headers)
            try await eventually { try await client.figure("viewers") == 1 }
            try await Task.sleep(for: .milliseconds(800))
            #expect(try await say(client, session, "&utterance=one&finish=true", seconds: 1).status == .accepted)
            #expect(try await say(client, session, "&utterance=two", seconds: 5).status == .accepted)
            try await eventually { try await client.figure("speech_units_total") >= 50 }
            #expect(try await client.post(session.path + "/interrupt", session.headers).status == .noContent)
            #expect(try await say(client, session, "&utterance=three", seconds: 0.3).status == .accepted)
            #expect(try await client.post(session.path + "/finish", session.headers).status == .noContent)
            let units = try await client.figure("units_total")
            try await eventually { try await client.figure("units_total") >= units + 50 }
            _ = try await client.execute(uri: session.path, method: .delete, headers: session.headers)
            let answer = try await streamed
            #expect(answer.status == .ok && answer.headers[.contentType] == "application/octet-stream")
            try check(try ReadUnit.all(Data(answer.body.readableBytesView)))
            let notices = try String(buffer: await told.body).components(separatedBy: "\n\n")
                .filter { $0.hasPrefix("event: utterance\n") }
                .map { try JSONDecoder().decode(UtteranceNotice.self, from: Data($0.dropFirst(23).utf8)) }
            #expect(
                notices.map { "\($0.id) \($0.state)" } == [
                    "one started", "one finished", "two started", "two interrupted", "three started", "three finished",
                ])
        }
    }

    private func check(_ units: [ReadUnit]) throws {
        let real = units.filter { $0.flags & 8 == 0 }
        #expect(real.map(\.number) == Array(real[0].number..<real[0].number + real.count))
        #expect(real.allSatisfy { $0.sound.count == 3840 })
        #expect(units.last?.state == 3 && units.last?.flags == 8)
        #expect(real[0].kind == 1 && real.allSatisfy { $0.kind != 1 || $0.picture.count == 160 * 120 * 3 / 2 })
        // Six template frames are sent once; then idle costs a header and the silence.
        let idle = real.filter { $0.state == 0 && $0.kind == 1 && $0.template != 0xFFFF_FFFF }
        #expect(Set(idle.map(\.template)).count == idle.count && real.contains { $0.kind == 2 })
        for (name, total) in [("one", 48_000), ("two", 5 * 48_000), ("three", 14_400)] {
            let own = units.filter { $0.name == name }
            let ends = own.filter { $0.flags & 6 != 0 }
            try #require(ends.count == 1, "\(name)")
            #expect(own[0].flags & 1 == 1 && own[own.count - 1].flags & 6 != 0, "\(name)")
            let heard: Int = own.filter { $0.flags & 8 == 0 }.map(\.position).max() ?? 0
            #expect(ends[0].position == heard && heard <= total, "\(name)")
            #expect((ends[0].flags & 4 != 0) == (name == "two"), "\(name)")
            if name != "two" { #expect(heard == total, "\(name)") }
        }
        #expect(units.last?.epoch == 2, "an interruption, and the end of the session")
    }

    @Test(
        "The pictures of a session are the frames of a render of the same file, to the bit",
        arguments: ["tiny", "compact"])
    func rendered(pack: String) async throws {
        try await withTemporaryFolder { folder in
            // With one template frame it does not matter where in the template the speech begins.
            try await TinyPack.writeWithVideo(pack, frames: 1, into: folder)
            let speech = folder.appending(path: "speech.wav")
            try Waves.wave(Waves.tone(seconds: 1.7)).write(to: speech)
            let library: String = try #require(Repository.onnxRuntime)
            let engine = try await Engine(
                Avatar(contentsOf: folder.appending(path: "\(pack).avatar")),
                backend: TranslatingBackend(splitting: try ONNXBackend(libraryPath: library)), media: FFmpeg(),
                judge: WeightJudge())
            var render = Render(engine: engine, media: FFmpeg(), audio: speech)
            render.crf = 0  // lossless
            let video = folder.appending(path: "render.mp4")
            _ = try await render.run(to: video)
            let decoded = try await FFmpeg().template(at: video, memory: 1 << 24)
            #expect(decoded.frameCount == 43)

            let units = try await spoken(speech, pack, in: folder)
            let manifest = engine.avatar.manifest
            let converter = try PlaneConverter(width: manifest.width, height: manifest.height)
            var (same, different) = (0, [Int]())
            for unit in units where unit.state == 1 && unit.kind == 1 {
                let frame = try await decoded.frame(at: (unit.position - 1) / 1920)
                if try await converter.planes(of: frame) == unit.picture {
                    same += 1
                } else {
                    different.append(unit.position)
                }
            }
            // A busy machine drops pictures; what it shows is right.
            #expect(same > 20 && different.isEmpty, "\(same) are the same, those at \(different) are not")
        }
    }

    /// The units of a session that speaks a file.
    private func spoken(_ speech: URL, _ pack: String, in folder: URL) async throws -> [ReadUnit] {
        let body = try ByteBuffer(bytes: Data(contentsOf: speech))
        let units = Collected()
        try await TinyServer.test {
            ($0.avatars, $0.defaultAvatar) = ([folder.path], pack)
        } _: { client in
            let session = try await client.begin(avatar: pack)
            async let streamed = client.get(session.path + "/units", session.headers)
            try await eventually { try await client.figure("viewers") == 1 }
            let said = try await client.execute(
                uri: session.path + "/audio?utterance=file", method: .post, headers: session.headers, body: body)
            #expect(said.status == .accepted)
            try await eventually { try await client.figure("speech_units_total") >= 43 }
            _ = try await client.execute(uri: session.path, method: .delete, headers: session.headers)
            await units.set(Data(try await streamed.body.readableBytesView))
        }
        return try ReadUnit.all(await units.bytes)
    }

    private actor Collected {
        var bytes = Data()
        func set(_ bytes: Data) { self.bytes = bytes }
    }

    @Test("Events and units tell the mouth's shapes that a whole file gives, to the digit; rest is told by silence")
    func visemes() async throws {
        let library: String = try #require(Repository.onnxRuntime)
        let seconds = 1.4
        let hello = try await FFmpeg().speech(at: Repository.root.appending(path: "samples/hello.wav"))
        var samples: [Float] = []
        while let piece = try await hello.read() { samples += piece }
        let spoken = samples.prefix(Int(seconds * 16_000)).map { Int16(($0 * 32_767).rounded()) }
        let expected = try await shapes(of: spoken, library: library)
        let units = Collected()
        try await TinyServer.test {
            $0.avatars.append(Repository.root.appending(path: "avatars").path)
        } _: { client in
            let session = try await client.begin(avatar: "robin")
            async let streamed = client.get(session.path + "/units?templates=all&visemes=1", session.headers)
            async let told = client.get(session.path + "/events?visemes=1", session.headers)
            async let untold = client.get(session.path + "/events", session.headers)
            try await eventually { try await client.figure("viewers") == 1 }
            let said = try await client.execute(
                uri: session.path + samples16k + "&utterance=hello&finish=true", method: .post,
                headers: session.headers, body: ByteBuffer(bytes: Waves.bytes(spoken)))
            #expect(said.status == .accepted)
            let count = Double(expected.count)
            try await eventually { try await client.figure("speech_units_total") >= count }
            let given = try await client.figure("units_total")
            // The mouth goes on hearing the end of the speech until its last row has left the feature window.
            try await eventually { try await client.figure("units_total") >= given + 45 }
            _ = try await client.execute(uri: session.path, method: .delete, headers: session.headers)
            await units.set(Data(try await streamed.body.readableBytesView))
            #expect(try await String(buffer: untold.body).contains("event: status\n"))
            #expect(try await !String(buffer: untold.body).contains("event: visemes"))
            let events = try await String(buffer: told.body).components(separatedBy: "\n\n")
                .filter { $0.hasPrefix("event: visemes\n") }
                .map { String($0.dropFirst("event: visemes\ndata: ".count)) }
            // The time is that of the session; the rest is the line of the file.
            func rest(_ object: String) -> Substring { object.drop { $0 != "," } }
            let wanted = expected.map { rest(VisemeWriter.object($0, time: 0)) }
            let found = events.map(rest)
            #expect(found.starts(with: wanted.drop { $0 == rest(VisemeWriter.object(.rest, time: 0)) }))
            #expect(found.last == rest(VisemeWriter.object(.rest, time: 0)), "in the end the mouth rests")
        }
        let all = try ReadUnit.all(await units.bytes).filter { $0.flags & 8 == 0 }
        #expect(all.allSatisfy { $0.shape.count == 22 })
        let speech = all.filter { $0.name == "hello" }.map { Array($0.shape.prefix(7)) }
        #expect(speech == expected.map(\.parameters))
        #expect(all.first { $0.state == 0 }?.shape == [0, 0, 0, 0, 0, 0, 0, 1] + [Float](repeating: 0, count: 14))
    }

    private var samples16k: String { samples + "&channels=1" }

    /// The shapes of samples as a whole.
    private func shapes(of samples: [Int16], library: String) async throws -> [MouthShape] {
        let reader = try await MouthReader(
            Avatar(contentsOf: Repository.robin), backend: ONNXBackend(libraryPath: library), judge: WeightJudge())
        let file = FileManager.default.temporaryDirectory.appending(path: "viseme-\(UUID().uuidString).wav")
        defer { try? FileManager.default.removeItem(at: file) }
        try Waves.wave(samples).write(to: file)
        var shapes: [MouthShape] = []
        for try await shape in reader.shapes(for: try await FFmpeg().speech(at: file)) { shapes.append(shape) }
        return shapes
    }

    @Test("Shapes of a pack that tells none are an error, and so is another value than 0 and 1")
    func noVisemes() async throws {
        try await TinyServer.test { client in
            let session = try await client.begin()
            for path in ["/events", "/units"] {
                let none = try await client.get(session.path + path + "?visemes=1", session.headers)
                #expect(none.status == .badRequest && none.failure == "no-input", "\(String(buffer: none.body))")
                let wrong = try await client.get(session.path + path + "?visemes=yes", session.headers)
                #expect(wrong.status == .badRequest && wrong.failure == "usage")
            }
        }
    }

    @Test("What is wrong with names and queries is an error that says so")
    func errors() async throws {
        try await TinyServer.test {
            $0.maxViewersPerSession = 1
        } _: { client in
            let session = try await client.begin()
            for name in ["%00", "a%20b", "%FF", "..%2Fx", String(repeating: "x", count: 65), "", "%0D%0AX:y", "%22"] {
                let answer = try await say(client, session, "&utterance=" + name, seconds: 0.1)
                #expect(answer.status == .badRequest && answer.failure == "usage", "\(name): \(answer.status)")
            }
            #expect(try await say(client, session, "&finish=maybe", seconds: 0.1).status == .badRequest)
            for templates in ["-1", "x", "1.5", "99999999999999999999", "%00"] {
                let answer = try await client.get(session.path + "/units?templates=" + templates, session.headers)
                #expect(answer.status == .badRequest, "\(templates)")
            }
            #expect(try await client.get(session.path + "/units").status == .unauthorized)
            #expect(try await say(client, session, "&utterance=a&finish=true", seconds: 0.1).status == .accepted)
            let again = try await say(client, session, "&utterance=a", seconds: 0.1)
            #expect(again.status == .conflict && again.failure == "conflict")
            let text = try await client.post(
                session.path + "/say", session.headers, #"{"text": "x", "utterance": "a b"}"#)
            #expect([.badRequest, .notImplemented].contains(text.status))
            async let first = client.get(session.path + "/units", session.headers)
            try await eventually { try await client.figure("viewers") == 1 }
            #expect(try await client.get(session.path + "/units", session.headers).status == .serviceUnavailable)
            _ = try await client.execute(uri: session.path, method: .delete, headers: session.headers)
            #expect(try await first.status == .ok)
        }
    }

    @Test("A reader that stops reading is disconnected, one that goes away is forgotten, and others miss nothing")
    func badReaders() async throws {
        try await TinyServer.test(.live) {
            $0.viewerLagSeconds = 1
        } _: { client in
            let session = try await client.begin()
            let port = try #require(client.port)
            func open(_ query: String = "", receiveBuffer: Int32? = nil) throws -> RawClient {
                let reader = try RawClient(port: port, receiveBuffer: receiveBuffer)
                reader.send("GET \(session.path)/units\(query) HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n")
                reader.send("Viseme-Session-Secret: \(session.secret)\r\n\r\n")
                return reader
            }
            // Not by the test's client, whose one connection asks for the figures.
            let good = try open("?templates=all")
            async let read = onThread { good.read(upTo: .max) }
            try await eventually { try await client.figure("viewers") == 1 }
            let leaving = try open()
            try await eventually { try await client.figure("viewers") == 2 }
            #expect(try await onThread { leaving.read(upTo: 100_000).count } == 100_000)
            leaving.close()
            try await eventually { try await client.figure("viewers") == 1 }
            let before = try await client.figure("slow_viewers_total")
            let slow = try open(receiveBuffer: 4096)
            try await eventually { try await client.figure("slow_viewers_total") == before + 1 }
            try await eventually { try await client.figure("viewers") == 1 }
            slow.close()
            _ = try await client.execute(uri: session.path, method: .delete, headers: session.headers)
            let bytes = try HostileClientTests.body(ofChunks: await read)
            good.close()
            let numbers = try ReadUnit.all(Data(bytes)).map(\.number)
            #expect(numbers == Array(numbers[0]..<numbers[0] + numbers.count))
        }
    }
}
