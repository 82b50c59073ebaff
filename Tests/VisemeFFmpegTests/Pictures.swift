import Foundation
import Viseme
import VisemeFFmpeg

/// Test pictures, and videos made of them by the adapter itself.
enum Pictures {
    /// A soft gradient with a bright bar that moves one step a frame.
    static func frame(_ number: Int, width: Int = 64, height: Int = 48) -> Image {
        var image = Image(width: width, height: height)
        for y in 0..<height {
            for x in 0..<width {
                let pixel = (y * width + x) * 3
                image.bytes[pixel] = UInt8(40 + x * 100 / width)
                image.bytes[pixel + 1] = UInt8(60 + y * 100 / height)
                image.bytes[pixel + 2] = UInt8(120 + (x + y) * 60 / (width + height))
            }
        }
        for y in 0..<height {
            for x in 0..<4 {
                let pixel = (y * width + (number * 3 + x) % width) * 3
                for channel in 0..<3 { image.bytes[pixel + channel] = 235 }
            }
        }
        return image
    }

    /// The mean absolute difference in grey levels.
    static func difference(_ one: Image, _ other: Image) -> Double {
        guard one.bytes.count == other.bytes.count else { return .infinity }
        let sum = zip(one.bytes, other.bytes).reduce(0) { $0 + abs(Int($1.0) - Int($1.1)) }
        return Double(sum) / Double(one.bytes.count)
    }

    /// Writes a video of `count` test pictures.
    @discardableResult
    static func write(
        _ count: Int, to url: URL, sound: URL? = nil, range: Range<Double>? = nil, width: Int = 64, height: Int = 48,
        fps: Int = 25, crf: Int = 18, overwrite: Bool = false, declaresSynthetic: Bool = true
    ) async throws -> VideoReport {
        let request = VideoRequest(
            url: url, width: width, height: height, fps: fps,
            sound: sound.map { VideoRequest.Sound(url: $0, range: range) }, crf: crf, overwrite: overwrite,
            declaresSynthetic: declaresSynthetic)
        let writer = try await FFmpeg(software: "Viseme test").writer(request)
        for number in 0..<count { try await writer.append(frame(number, width: width, height: height)) }
        return try await writer.finish()
    }
}

/// All samples of a file at 16 kHz.
func speech(at url: URL) async throws -> [Float] {
    let reader = try await FFmpeg().speech(at: url)
    var all: [Float] = []
    while let chunk = try await reader.read() { all += chunk }
    return all
}

/// The error of an action, or nil when it succeeds or throws something else.
func failure(of action: () async throws -> Void) async -> VisemeError? {
    do {
        try await action()
        return nil
    } catch {
        return error as? VisemeError
    }
}
