import CFFmpeg
import Foundation
import Testing
import VisemeTestSupport
import Viseme

@testable import VisemeFFmpeg

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// Files that name other files, and files whose few bytes want gigabytes.
/// Without the guards the trap, a pipe that nobody writes into, blocks for ever: hence the limit.
@Suite("Hostile media", .enabled(if: Tool.ffmpeg != nil, "ffmpeg is not installed"), .timeLimit(.minutes(3)))
struct HostileMediaTests {
    let scratch: Scratch
    let backend = FFmpeg()

    init() throws { scratch = try Scratch() }

    /// A port that counts who connects.
    private final class CanaryPort: Sendable {
        let number: UInt16
        private let descriptor: Int32

        init() throws {
            #if canImport(Glibc)
                descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            #else
                descriptor = socket(AF_INET, SOCK_STREAM, 0)
            #endif
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
            var length = socklen_t(MemoryLayout<sockaddr_in>.size)
            let descriptor = descriptor
            let status = withUnsafeMutablePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { raw in
                    bind(descriptor, raw, length) == 0 && listen(descriptor, 16) == 0
                        && getsockname(descriptor, raw, &length) == 0
                }
            }
            guard status else { throw CocoaError(.fileNoSuchFile) }
            _ = fcntl(descriptor, F_SETFL, O_NONBLOCK)
            number = UInt16(bigEndian: address.sin_port)
        }

        deinit { close(descriptor) }

        /// Whether anybody has connected.
        var wasTouched: Bool {
            let connection = accept(descriptor, nil, nil)
            if connection >= 0 { close(connection) }
            return connection >= 0
        }
    }

    /// Lists of every kind that libav* knows, which name a file and an address.
    private static func lists(file: String, port: UInt16) -> [String: String] {
        let address = "http://127.0.0.1:\(port)/x.ts"
        return [
            "concat": "ffconcat version 1.0\nfile '\(file)'\nfile \(address)\n",
            "itself": "ffconcat version 1.0\nfile list.itself\n",
            "descriptor": "ffconcat version 1.0\nfile 0\n",
            "hls": "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n\(file)\n#EXTINF:1,\n\(address)\n#EXT-X-ENDLIST\n",
            "key":
                "#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI=\"file://\(file)\"\n#EXTINF:1,\n\(address)\n#EXT-X-ENDLIST\n",
            "dash": """
            <?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" mediaPresentationDuration="PT1S">
            <Period><AdaptationSet mimeType="audio/mp4"><Representation id="1" bandwidth="1"><BaseURL>\(address)</BaseURL>
            </Representation></AdaptationSet></Period></MPD>
            """,
            "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nm=audio \(port) RTP/AVP 0\n",
            "asx": "<asx version=\"3.0\"><entry><ref href=\"\(address)\"/></entry></asx>",
            "pls": "[playlist]\nFile1=\(address)\nNumberOfEntries=1\n",
        ]
    }

    @Test("Nothing that a list names is opened, by a file, by a pipe or live")
    func lists() async throws {
        let port = try CanaryPort()
        let canary = try scratch.write(Wave.tone(8000).bytes, "canary.wav")
        // The time at which a file was last read does not change on most systems: a pipe that nobody may open is a better canary.
        let trap = scratch.file("trap.wav")
        #expect(mkfifo(trap.path, 0o600) == 0)
        for named in [canary.path, trap.path] {
            for (kind, text) in Self.lists(file: named, port: port.number) {
                for suffix in [kind, "m3u8", "wav", "sdp"] {
                    let url = try scratch.write(Array(text.utf8), "list.\(suffix)")
                    let error = await #expect(throws: VisemeError.self, "\(kind) as .\(suffix)") {
                        _ = try await backend.speech(at: url)
                    }
                    #expect([.unsupported, .badData].contains(error?.code), "\(kind): \(String(describing: error))")
                    await #expect(throws: VisemeError.self) { _ = try await backend.probe(url) }
                    await #expect(throws: VisemeError.self) { _ = try await backend.liveSource(at: url) }
                    await #expect(throws: VisemeError.self) { _ = try await backend.template(at: url, memory: 0) }
                    var ends: [Int32] = [-1, -1]
                    try #require(pipe(&ends) == 0)
                    let writing = FileHandle(fileDescriptor: ends[1], closeOnDealloc: true)
                    try writing.write(contentsOf: Data(text.utf8))
                    try writing.close()
                    let reading = FileHandle(fileDescriptor: ends[0], closeOnDealloc: true)
                    await #expect(throws: VisemeError.self) {
                        _ = try await backend.liveSource(from: reading, sound: .speech)
                    }
                }
            }
        }
        #expect(!port.wasTouched, "an address that a list names was connected to")
    }

    @Test("What is a list is said so, with what to do")
    func message() async throws {
        let url = try scratch.write(Array("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\na.ts\n".utf8), "a.m3u8")
        let error = await #expect(throws: VisemeError.self) { _ = try await backend.speech(at: url) }
        #expect(error?.code == .unsupported && error?.message.contains("hls") == true && error?.hint != nil)
    }

    @Test("Rates and channel counts of nobody's speech are refused at once", arguments: [1, 10, 100, 999, 768_001])
    func rates(_ rate: Int) async throws {
        let url = try scratch.write(Wave(rate: rate, channels: [[Double](repeating: 0.1, count: 4000)]).bytes, "a.wav")
        let error = await #expect(throws: VisemeError.self) { _ = try await backend.speech(at: url) }
        #expect(
            error?.code == .badData && error?.message.contains("1000…768000 Hz") == true, "\(String(describing: error))"
        )
    }

    @Test("More than 64 channels are refused")
    func channels() async throws {
        let url = try scratch.write(
            Wave(rate: 16_000, channels: [[Double]](repeating: [Double](repeating: 0, count: 100), count: 65)).bytes,
            "a.wav")
        await #expect(throws: VisemeError.self) { _ = try await backend.speech(at: url) }
    }

    @Test("A huge cover picture beside the sound is not decoded")
    func cover() async throws {
        let (wave, output) = (try scratch.write(Wave.tone(16_000).bytes, "a.wav"), scratch.file("a.mkv"))
        _ = try Tool.run(
            Tool.ffmpeg,
            [
                "-v", "error", "-y", "-i", wave.path, "-f", "lavfi", "-i", "color=black:s=16x16:r=1:d=1", "-c:a",
                "copy",
                "-c:v", "png", output.path,
            ])
        func format() throws -> Int32? {
            let demuxer = try Demuxer(output, as: "Speech")
            return (0..<demuxer.streamCount).compactMap { demuxer.stream($0)?.pointee.codecpar?.pointee }
                .first { $0.codec_type == AVMEDIA_TYPE_VIDEO }?.format
        }
        #expect(try format() != AV_PIX_FMT_NONE.rawValue, "a small one is looked at")
        // Now the picture says it has 16000×16000 pixels: 768 MB once decoded.
        var data = try Data(contentsOf: output)
        let header = try #require(data.range(of: Data("IHDR".utf8)))
        data.replaceSubrange(
            header.upperBound..<header.upperBound + 8, with: [0, 0, 0x3E, 0x80, 0, 0, 0x3E, 0x80] as [UInt8])
        try data.write(to: output)
        #expect(try format() == AV_PIX_FMT_NONE.rawValue)
        #expect(try await speech(at: output).count > 15_000)
    }
}
