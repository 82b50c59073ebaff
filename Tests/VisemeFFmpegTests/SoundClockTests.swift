import Foundation
import Testing
import VisemeTestSupport
import Viseme

@testable import VisemeFFmpeg

/// The mouth and the ear go by one clock, whatever the timestamps of a file say.
@Suite("Gaps and clocks", .enabled(if: Tool.ffmpeg != nil, "ffmpeg is not installed"))
struct SoundClockTests {
    let scratch: Scratch
    let backend = FFmpeg()

    init() throws { scratch = try Scratch() }

    /// Clicks at every full second, as a file of a codec.
    private func clicks(_ name: String, seconds: Int, options: [String]) throws -> URL {
        let rate = 48_000
        var samples = Wave.sine(seconds * rate, rate: rate, amplitude: 0.02)
        for second in 1..<seconds {
            for i in 0..<rate / 50 { samples[second * rate + i] = 0.8 * sin(2 * .pi * 1000 * Double(i) / Double(rate)) }
        }
        let wave = try scratch.write(Wave(rate: rate, channels: [samples]).bytes, "clicks.wav")
        let url = scratch.file(name)
        _ = try Tool.run(Tool.ffmpeg, ["-v", "error", "-y", "-i", wave.path] + options + [url.path])
        return url
    }

    private func rewritten(_ url: URL, _ name: String, _ filter: String) throws -> URL {
        let output = scratch.file(name)
        _ = try Tool.run(
            Tool.ffmpeg, ["-v", "error", "-y", "-i", url.path, "-c", "copy", "-bsf:a", filter, output.path])
        return output
    }

    /// The seconds at which clicks begin.
    private func onsets(_ samples: [Float]) -> [Double] {
        var found: [Double] = []
        for (i, sample) in samples.enumerated() where abs(sample) > 0.3 {
            let time = Double(i) / 16_000
            if time - (found.last ?? -1) > 0.5 { found.append(time) }
        }
        return found
    }

    /// Writes a video with a file's sound and gives what one hears in it, as the mouth heard the file.
    private func carried(_ url: URL, _ kind: String) async throws -> (mouth: [Float], ear: [Float], report: VideoReport)
    {
        let mouth = try await speech(at: url)
        let output = scratch.file("out.\(kind)")
        let frames = Int((Double(mouth.count) / 640).rounded(.up))
        let report = try await Pictures.write(frames, to: output, sound: url, width: 32, height: 32, overwrite: true)
        return (mouth, try await speech(at: output), report)
    }

    @Test(
        "Lost packets are silence for the mouth and for the ear, and the report says how much",
        arguments: ["mp4", "mov", "mkv"])
    func lostPackets(_ kind: String) async throws {
        let whole = try clicks("whole.m4a", seconds: 20, options: ["-c:a", "aac"])
        let url = try rewritten(whole, "gap.mkv", "noise=drop=eq(mod(n\\,25)\\,24)")
        let (mouth, ear, report) = try await carried(url, kind)
        #expect(abs(Double(mouth.count) / 16_000 - 20) < 0.1, "\(mouth.count)")
        let (heard, shown) = (onsets(ear), onsets(mouth))
        #expect(shown.count >= 17 && heard.count == shown.count)
        for (a, b) in zip(heard, shown) { #expect(abs(a - b) < 0.02, "\(a) against \(b)") }
        // Each click at its second: nothing has run away.
        for time in shown { #expect(abs(time - time.rounded()) < 0.03, "\(time)") }
        #expect(report.sound.hasPrefix("encoded"))
        #expect(report.notes.contains { $0.contains("re-encoded") })
        let reader = try await backend.speech(at: url)
        while try await reader.read() != nil {}
        let warnings = await reader.warnings
        #expect(warnings.contains { $0.contains("gaps") && $0.contains("filled with silence") }, "\(warnings)")
    }

    @Test("A clock that is 1 % off does not part mouth and sound", arguments: ["mp4", "mkv"])
    func otherClock(_ kind: String) async throws {
        let whole = try clicks("whole.m4a", seconds: 20, options: ["-c:a", "aac"])
        let url = try rewritten(whole, "clock.mkv", "setts=ts=TS*1.01")
        let (mouth, ear, report) = try await carried(url, kind)
        for (a, b) in zip(onsets(ear), onsets(mouth)) { #expect(abs(a - b) < 0.02, "\(a) against \(b)") }
        #expect(abs(report.audioSeconds - report.videoSeconds) < 0.05)
    }

    @Test("A recording that was muted for ten seconds keeps them")
    func muted() async throws {
        let whole = try clicks("whole.m4a", seconds: 30, options: ["-c:a", "aac"])
        let url = try rewritten(whole, "muted.mkv", "noise=drop=between(n\\,469\\,937)")
        let (mouth, ear, report) = try await carried(url, "mp4")
        #expect(abs(Double(mouth.count) / 16_000 - 30) < 0.1 && abs(report.videoSeconds - 30) < 0.1)
        #expect(onsets(mouth).contains { abs($0 - 25) < 0.03 } && onsets(ear).contains { abs($0 - 25) < 0.03 })
    }

    @Test(
        "Sound without gaps is still copied, whatever its container counts in",
        arguments: [
            ("a.m4a", ["-c:a", "aac"], "mp4"), ("a.mkv", ["-c:a", "aac"], "mp4"),
            ("a.mp3", ["-c:a", "libmp3lame"], "mp4"),
            ("a.ogg", ["-c:a", "libvorbis"], "mkv"), ("a.opus", ["-c:a", "libopus"], "mkv"),
            ("a.flac", ["-c:a", "flac"], "mkv"), ("a.wav", ["-c:a", "pcm_s16le"], "mov"),
            ("a.avi", ["-c:a", "mp3"], "mp4"),
            ("a.ts", ["-c:a", "aac"], "mp4"),
        ])
    func clean(_ name: String, _ options: [String], _ kind: String) async throws {
        let url = try clicks(name, seconds: 8, options: options)
        let (mouth, ear, report) = try await carried(url, kind)
        #expect(report.sound.hasPrefix("copied"), "\(report.notes)")
        for (a, b) in zip(onsets(ear), onsets(mouth)) { #expect(abs(a - b) < 0.009, "\(a) against \(b)") }
        let reader = try await backend.speech(at: url)
        while try await reader.read() != nil {}
        #expect(await reader.warnings == [])
    }

    @Test(
        "The last samples of codecs with packets of any length are kept in Matroska",
        arguments: [("pcm_mulaw", "t.wav"), ("flac", "t.flac"), ("tta", "t.tta"), ("alac", "t.m4a")])
    func tails(_ codec: String, _ name: String) async throws {
        let url = scratch.file(name)
        _ = try Tool.run(
            Tool.ffmpeg,
            [
                "-v", "error", "-y", "-f", "lavfi", "-i", "sine=440:sample_rate=8000", "-af", "atrim=end_sample=67636",
                "-c:a", codec, url.path,
            ])
        let (mouth, ear, _) = try await carried(url, "mkv")
        #expect(abs(mouth.count - 67_636 * 2) < 100)
        #expect(abs(ear.count - mouth.count) < 100, "\(ear.count) of \(mouth.count)")
    }

    @Test("An Opus pre-roll of 80 ms stays out of what one hears, and in sync", arguments: ["mp4", "mkv"])
    func opus(_ kind: String) async throws {
        let url = try clicks("o.mp4", seconds: 4, options: ["-c:a", "libopus"])
        var data = try Data(contentsOf: url)
        // 3840 samples in the edit list and in the codec's header, as RFC 7845 recommends.
        if let place = data.range(of: Data("elst".utf8)) {
            data.replaceSubrange(place.lowerBound + 16..<place.lowerBound + 20, with: [0, 0, 0x0F, 0])
        }
        if let place = data.range(of: Data("dOps".utf8)) {
            data.replaceSubrange(place.upperBound + 2..<place.upperBound + 4, with: [0x0F, 0])
        }
        try data.write(to: url)
        let (mouth, ear, _) = try await carried(url, kind)
        let (a, b) = (onsets(ear), onsets(mouth))
        #expect(!a.isEmpty && a.count == b.count)
        for (heard, shown) in zip(a, b) { #expect(abs(heard - shown) < 0.009, "\(heard) against \(shown)") }
    }

    @Test(
        "NaN, infinite and huge samples are replaced and reported, in every container",
        arguments: ["mp4", "mov", "mkv"])
    func strangeSamples(_ kind: String) async throws {
        let url = scratch.file("n.wav")
        let wave = try scratch.write(Wave.tone(32_000).bytes, "w.wav")
        _ = try Tool.run(Tool.ffmpeg, ["-v", "error", "-y", "-i", wave.path, "-c:a", "pcm_f32le", url.path])
        var data = try Data(contentsOf: url)
        let start = try #require(data.range(of: Data("data".utf8))).upperBound + 4
        for (sample, value) in [(8000, Float.nan), (9000, .infinity), (9001, 1e30)] {
            withUnsafeBytes(of: value.bitPattern.littleEndian) {
                data.replaceSubrange(start + sample * 4..<start + sample * 4 + 4, with: $0)
            }
        }
        try data.write(to: url)
        let (mouth, ear, report) = try await carried(url, kind)
        #expect(mouth.allSatisfy(\.isFinite) && ear.allSatisfy(\.isFinite) && mouth.count > 31_000)
        #expect(report.frames > 0)
        let reader = try await backend.speech(at: url)
        while try await reader.read() != nil {}
        let warnings = await reader.warnings
        #expect(warnings.contains { $0.contains("3 samples") && $0.contains("sample 8000") }, "\(warnings)")
    }

    @Test(
        "A WAV of a writer that did not know its length is not truncated",
        arguments: [0x7FFF_F000, 0x7FFF_FFFF, 0xFFFF_FFFF] as [UInt32])
    func unknownLength(_ length: UInt32) async throws {
        var bytes = Wave.tone(16_000).bytes
        let start = try #require(Data(bytes).range(of: Data("data".utf8))).upperBound
        withUnsafeBytes(of: length.littleEndian) { bytes.replaceSubrange(start..<start + 4, with: $0) }
        let url = try scratch.write(bytes, "a.wav")
        let reader = try await backend.speech(at: url)
        while try await reader.read() != nil {}
        #expect(await reader.warnings == [])
    }

    @Test(
        "Bare samples can be read after an end: that of an utterance comes while an upload goes on",
        arguments: [8000, 16_000, 44_100, 48_000])
    func afterTheEnd(_ rate: Int) async throws {
        let reader = try SampleReader(RawSamples(format: .s16le, rate: rate), sound: .speech)
        for _ in 0..<5 {
            let (samples, _) = try await reader.read(Data(repeating: 1, count: rate))
            let (rest, _) = try await reader.finish()
            #expect(abs(samples.count + rest.count - 8000) < 40, "\(samples.count) + \(rest.count)")
        }
    }

    @Test("The index of an MP4 file: known by the first bytes")
    func heads() throws {
        func box(_ name: String, _ size: Int) -> [UInt8] {
            (0..<4).map { UInt8(truncatingIfNeeded: size >> (24 - 8 * $0)) } + Array(name.utf8)
                + [UInt8](repeating: 0, count: size - 8)
        }
        #expect(MP4Head.needsWholeFile(Data(box("ftyp", 24) + box("moov", 100))) == false)
        #expect(MP4Head.needsWholeFile(Data(box("ftyp", 24) + box("free", 8) + box("mdat", 100))) == true)
        #expect(MP4Head.needsWholeFile(Data(box("ftyp", 24))) == nil)
        #expect(MP4Head.needsWholeFile(Data([0, 0])) == nil)
        #expect(MP4Head.needsWholeFile(Data("RIFF0000WAVE".utf8)) == false)
        #expect(
            MP4Head.needsWholeFile(Data([0, 0, 0, 24] + Array("ftyp".utf8) + [UInt8](repeating: 0, count: 200))) == true
        )
        for length in 0..<200 { _ = MP4Head.needsWholeFile(Data(randomBytes(length))) }
    }

    private func randomBytes(_ count: Int) -> [UInt8] {
        var random = SeededRandom(count)
        return (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) }
    }
}
