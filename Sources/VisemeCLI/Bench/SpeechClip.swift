import Foundation
import Viseme
import VisemeFFmpeg

/// Speech of a given length: 16 kHz mono WAV.
enum SpeechClip {
    private static let rate = AudioFormat.speech.rate

    /// Writes a clip; speech that is too short is repeated.
    static func write(_ source: URL, seconds: Int, to url: URL) async throws {
        let reader = try await FFmpeg.viseme.speech(at: source)
        var speech: [Float] = []
        while speech.count < seconds * rate, let more = try await reader.read() { speech += more }
        guard !speech.isEmpty else { throw VisemeError(.badData, "'\(source.path)' has no sample.") }
        var wave = Data("RIFF".utf8)
        func append(_ value: some FixedWidthInteger) {
            withUnsafeBytes(of: value.littleEndian) { wave.append(contentsOf: $0) }
        }
        let bytes = UInt32(seconds * rate * 2)
        append(36 + bytes)
        wave += Data("WAVEfmt ".utf8)
        append(UInt32(16))
        // PCM, one channel, samples and bytes a second, bytes and bits a sample.
        for value in [1, 1] as [UInt16] { append(value) }
        for value in [rate, rate * 2] { append(UInt32(value)) }
        for value in [2, 16] as [UInt16] { append(value) }
        wave += Data("data".utf8)
        append(bytes)
        for i in 0..<seconds * rate {
            append(Int16(max(-1, min(1, speech[i % speech.count])) * 32767))
        }
        try wave.write(to: url)
    }
}
