import Foundation
import Viseme

/// The containers that can be written, by file extension.
enum Container: String, CaseIterable {
    /// ISO base media.
    case mp4
    /// QuickTime; also supports PCM.
    case mov
    /// Matroska; supports every codec.
    case mkv

    /// Its name in libavformat.
    var format: String { self == .mkv ? "matroska" : rawValue }

    /// Its settings as a file.
    var layout: ContainerLayout {
        ContainerLayout(
            name: ".\(rawValue)", format: format,
            options: self == .mkv
                // The priming is stored as CodecDelay, so sound and picture both start at 0 without a shift.
                ? [("avoid_negative_ts", "disabled")] : [("movflags", "+faststart+use_metadata_tags")])
    }

    /// The audio codecs to copy: those that players of this container support; nil for every codec.
    var copied: Set<String>? {
        let iso: Set<String> = ["aac", "mp3", "ac3", "eac3", "alac"]
        switch self {
        case .mp4: return iso.union(["opus", "flac"])
        case .mov:
            return iso.union([
                "pcm_s16le", "pcm_s16be", "pcm_s24le", "pcm_s24be", "pcm_s32le", "pcm_s32be", "pcm_f32le", "pcm_f32be",
                "pcm_f64le", "pcm_f64be", "pcm_u8", "pcm_s8", "pcm_mulaw", "pcm_alaw",
            ])
        case .mkv: return nil
        }
    }
}

extension VideoRequest {
    /// Whether the output is a folder of images.
    var isImageFolder: Bool { url.hasDirectoryPath || url.pathExtension.isEmpty }

    /// The container that the file extension names, or nil.
    var container: Container? { Container(rawValue: url.pathExtension.lowercased()) }

    /// Checks the request.
    ///
    /// - Throws: `.usage` for sizes, rates and qualities out of range, `.unsupported` for other file extensions.
    func validate() throws {
        guard url.isFileURL else { throw VisemeError(.usage, "The output '\(url)' is not a file") }
        guard isImageFolder || container != nil else {
            throw VisemeError(
                .unsupported, "The output '\(url.path)' ends in .\(url.pathExtension); expected .mp4, .mov or .mkv",
                hint: "or give a name without an extension for a folder of PNG images")
        }
        guard (1...16_384).contains(width), (1...16_384).contains(height) else {
            throw VisemeError(.usage, "A video of \(width)×\(height) cannot be written; each side is 1…16384")
        }
        guard (1...1000).contains(fps) else {
            throw VisemeError(.usage, "\(fps) frames a second cannot be written; expected 1…1000")
        }
        guard (0...51).contains(crf) else { throw VisemeError(.usage, "crf \(crf) is not in 0…51") }
        guard threads >= 1 else { throw VisemeError(.usage, "\(threads) encoder threads; expected at least 1") }
        if let range = sound?.range, !range.lowerBound.isFinite || !range.upperBound.isFinite || range.lowerBound < 0 {
            throw VisemeError(.usage, "The sound's range \(range) s is not a range of seconds from 0 on")
        }
    }
}
