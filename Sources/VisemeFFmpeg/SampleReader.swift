import CFFmpeg
public import Foundation
public import Viseme

/// Converts raw samples for a live session, in pieces of any length: speech at 16 kHz, and the original sound.
///
/// The result does not depend on how the bytes are split.
public actor SampleReader {
    /// The format of the bytes.
    public nonisolated let samples: RawSamples
    private var speech: SampleConverter
    private var sound: SampleConverter
    /// The first bytes of an incomplete sample.
    private var rest = Data()
    private var repair = SampleRepair()

    /// Makes a reader.
    ///
    /// - Parameters:
    ///   - samples: The format of the bytes.
    ///   - sound: The format of the original sound to return.
    /// - Throws: `.usage` (invalid sample format).
    public init(_ samples: RawSamples, sound: AudioFormat) throws {
        try samples.validate()
        self.samples = samples
        speech = SampleConverter(
            rate: AudioFormat.speech.rate, channels: AudioFormat.speech.channels, mixing: .mean, label: "The samples")
        self.sound = SampleConverter(
            rate: sound.rate, channels: sound.channels, mixing: .standard, label: "The samples")
    }

    /// Converts bytes.
    ///
    /// - Throws: `.unavailable` without soxr.
    public func read(_ bytes: Data) throws -> (samples: [Float], sound: [Float]) {
        let width = (samples.format == .s16le ? 2 : 4) * samples.channels
        let all = rest + bytes
        let count = all.count / width
        rest = Data(all.suffix(all.count - count * width))
        guard count > 0 else { return ([], []) }
        let frame = try AVFrameBox()
        frame.pointer.pointee.format = (samples.format == .s16le ? AV_SAMPLE_FMT_S16 : AV_SAMPLE_FMT_FLT).rawValue
        frame.pointer.pointee.sample_rate = Int32(clamping: samples.rate)
        frame.pointer.pointee.nb_samples = Int32(clamping: count)
        av_channel_layout_default(&frame.pointer.pointee.ch_layout, Int32(clamping: samples.channels))
        try check(av_frame_get_buffer(frame.pointer, 0), Purpose(.internal, "No memory for \(count) samples"))
        guard let target = frame.pointer.pointee.data.0 else { return ([], []) }
        all.copyBytes(to: target, count: count * width)
        if samples.format == .f32le {
            // A NaN would stay in the resampler's state.
            try repair.frame(frame)
        }
        return (try speech.convert(frame), try sound.convert(frame))
    }

    /// Recoverable problems, one sentence each.
    public var warnings: [String] { repair.warnings("The samples") }

    /// Drains the resamplers; a later read starts new ones.
    public func finish() throws -> (samples: [Float], sound: [Float]) { (try speech.drain(), try sound.drain()) }
}
