import Foundation
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import NIOCore
import Testing
import VisemeTestSupport
import Viseme
import VisemeFFmpeg
@testable import VisemeServer
import VisemeStreaming

@Suite(
    "Live sessions", .enabled(if: Repository.canRunModels, "ONNX Runtime is not in .deps: run make setup"),
    .serialized)
struct LiveServerTests {
    private let samples = "/audio?format=s16le&rate=16000"

    /// Watches a session until it ends.
    private func watch(_ client: any TestClientProtocol, _ session: Begun, _ kind: String) async throws -> Data {
        let answer = try await client.get("\(session.path)/stream.\(kind)", session.headers)
        #expect(answer.status == .ok)
        if kind == "mp4" { #expect(answer.headers[.contentType] == "video/mp4; codecs=\"\(session.codecs)\"") }
        return Data(answer.body.readableBytesView)
    }

    @Test(
        "Speech in, video out: as long as the sound, the mouth moves while it speaks and is idle after an interruption",
        arguments: ["mp4", "ts"])
    func speaking(kind: String) async throws {
        try await TinyServer.test { client in
            let session = try await client.begin()
            async let streamed = watch(client, session, kind)
            try await eventually { try await client.figure("viewers") == 1 }
            try await Task.sleep(for: .milliseconds(600))
            let said = try await client.execute(
                uri: session.path + samples, method: .post, headers: session.headers, body: tone(seconds: 9))
            #expect(said.status == .accepted)
            let receipt = try JSONDecoder().decode(SpeechInput.Receipt.self, from: Data(said.body.readableBytesView))
            #expect(abs(receipt.seconds - 9) < 0.1 && !receipt.isInterrupted)
            try await eventually { try await client.figure("speech_units_total") >= 20 }
            #expect(try await client.post(session.path + "/interrupt", session.headers).status == .noContent)
            let units = try await client.figure("units_total")
            try await eventually { try await client.figure("units_total") >= units + 30 }
            #expect(
                try await client.execute(uri: session.path, method: .delete, headers: session.headers).status
                    == .noContent)
            let data = try await streamed

            try await withTemporaryFolder { folder in
                let file = folder.appending(path: "out.\(kind)")
                try data.write(to: file)
                #expect(
                    try await complaints(of: "ffmpeg", ["-v", "warning", "-i", file.path, "-f", "null", "-"]).isEmpty)
                let summary = try await FFmpeg().probe(file)
                let (video, audio) = (try #require(summary.video), try #require(summary.audio))
                #expect(video.codec == "h264" && audio.codec == "aac" && audio.rate == 48_000)
                #expect(abs(video.endSeconds - audio.endSeconds) < 0.04 + 2048 / 48000)
                #expect(abs(video.seconds - Double(video.packets) / 25) < 0.001)

                // The tiny networks draw something quite different from the template: at rest it is the template itself.
                let reader = try await FFmpeg().template(at: file, memory: 50_000_000)
                let (template, mouth) = try await templates()
                var moving: [Bool] = []
                for index in 0..<reader.frameCount {
                    let image = try await reader.frame(at: index).image(of: mouth)
                    moving.append((template.map { difference(image, $0) }.min() ?? 0) > 4)
                }
                let speech = try #require(moving.firstIndex(of: true), "nothing moves")
                let end = try #require(moving.lastIndex(of: true))
                #expect(moving[..<speech].count >= 5)
                // It was interrupted in the middle of its nine seconds: 225 frames.
                #expect((10...150).contains(end - speech), "\(moving)")
                #expect(moving[speech...end].count { $0 } > (end - speech) / 2)
                #expect(moving[(end + 1)...].count >= 15)
            }
        }
    }

    /// The part of the template frames where the mouth is, and where that is.
    private func templates() async throws -> ([Image], PixelArea) {
        let avatar = try Avatar(contentsOf: TinyServer.packs.appending(path: "tiny.avatar"))
        let mouth = avatar.squares[0]
        let reader = try await FFmpeg().template(at: try avatar.member(avatar.manifest.template), memory: 10_000_000)
        var images: [Image] = []
        for index in 0..<reader.frameCount { images.append(try await reader.frame(at: index).image(of: mouth)) }
        return (images, mouth)
    }

    @Test("Uploads of bare samples join: however they are cut, they are one utterance")
    func cuts() async throws {
        try await TinyServer.test { client in
            let session = try await client.begin()
            var speech = tone(seconds: 1)
            var seconds = 0.0
            for size in [1, 999, 3202, 7, 15_001] {
                let body = speech.readSlice(length: size) ?? ByteBuffer()
                let answer = try await client.execute(
                    uri: session.path + samples, method: .post, headers: session.headers, body: body)
                #expect(answer.status == .accepted)
                seconds += try JSONDecoder().decode(SpeechInput.Receipt.self, from: Data(answer.body.readableBytesView))
                    .seconds
            }
            #expect(seconds > 0.5 && seconds < 0.61)
            #expect(try await client.post(session.path + "/finish", session.headers).status == .noContent)
        }
    }

    @Test("Text is spoken where there is a program for it, and without one the answer says so")
    func text() async throws {
        try await TinyServer.test {
            $0.speechCommand = ["no-such-program", "{voice}"]
        } _: { client in
            let session = try await client.begin()
            let answer = try await client.post(session.path + "/say", session.headers, #"{"text": "hello"}"#)
            #expect(answer.status == .notImplemented && answer.failure == "unavailable")
        }
        try await withTemporaryFolder { folder in
            // A program that speaks what it reads: bytes of text become bytes of a WAV file.
            let wave = folder.appending(path: "speech.wav")
            var speech = tone(seconds: 0.6)
            let body = speech.readBytes(length: speech.readableBytes) ?? []
            func little(_ value: Int, _ count: Int) -> [UInt8] {
                (0..<count).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
            }
            let header =
                Array("RIFF".utf8) + little(36 + body.count, 4) + Array("WAVEfmt ".utf8) + little(16, 4)
                + little(1, 2) + little(1, 2) + little(16_000, 4) + little(32_000, 4) + little(2, 2) + little(16, 2)
                + Array("data".utf8) + little(body.count, 4)
            try Data(header + body).write(to: wave)
            let script = folder.appending(path: "speak")
            try Data(
                "#!/bin/sh\ncat >'\(folder.path)/text'\necho \"$1\" >'\(folder.path)/voice'\ncat '\(wave.path)'\n".utf8
            ).write(to: script)
            try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: script.path)
            try await TinyServer.test {
                $0.speechCommand = [script.path, "{voice}"]
            } _: { client in
                let session = try await client.begin()
                let answer = try await client.post(
                    session.path + "/say", session.headers, #"{"text": "say $(this); \"now\"", "voice": "en-gb"}"#)
                #expect(answer.status == .accepted, "\(String(buffer: answer.body))")
                let receipt = try JSONDecoder().decode(
                    SpeechInput.Receipt.self, from: Data(answer.body.readableBytesView))
                #expect(abs(receipt.seconds - 0.6) < 0.05)
            }
            #expect(try String(contentsOf: folder.appending(path: "text"), encoding: .utf8) == "say $(this); \"now\"")
            #expect(try String(contentsOf: folder.appending(path: "voice"), encoding: .utf8) == "en-gb\n")
        }
    }

    @Test("Events tell what the session does, and its end")
    func events() async throws {
        try await TinyServer.test { client in
            let session = try await client.begin()
            async let told = client.get("\(session.path)/events?secret=\(session.secret)")
            try await Task.sleep(for: .milliseconds(300))
            _ = try await client.execute(
                uri: session.path + samples, method: .post, headers: session.headers, body: tone(seconds: 0.8))
            try await Task.sleep(for: .milliseconds(1800))
            _ = try await client.execute(uri: session.path, method: .delete, headers: session.headers)
            let states = try String(buffer: await told.body).split(separator: "\n").compactMap { line in
                line.hasPrefix("data: ")
                    ? try JSONDecoder().decode(SessionStatus.self, from: Data(line.dropFirst(6).utf8)).state : nil
            }
            let changes = states.indices.filter { $0 == 0 || states[$0] != states[$0 - 1] }.map { states[$0] }
            #expect(changes.starts(with: [.idle, .speaking]) && changes.suffix(2) == [.idle, .ended], "\(changes)")
        }
    }

    @Test("An interruption ends the upload that runs, and the next one is taken at once")
    func interruption() async throws {
        try await TinyServer.test { client in
            let session = try await client.begin()
            async let long = client.execute(
                uri: session.path + samples, method: .post, headers: session.headers, body: tone(seconds: 30))
            try await Task.sleep(for: .milliseconds(700))
            let second = try await client.execute(
                uri: session.path + samples, method: .post, headers: session.headers, body: tone(seconds: 0.2))
            #expect(second.status == .conflict)
            #expect(try await client.post(session.path + "/interrupt", session.headers).status == .noContent)
            let third = try await client.execute(
                uri: session.path + samples, method: .post, headers: session.headers, body: tone(seconds: 0.2))
            #expect(third.status == .accepted)
            #expect(
                try JSONDecoder().decode(SpeechInput.Receipt.self, from: Data(await long.body.readableBytesView))
                    .isInterrupted)
        }
    }
}
