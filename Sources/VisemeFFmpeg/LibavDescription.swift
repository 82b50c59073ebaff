import CFFmpeg

/// The libav* that was found when the program started, and what of it matters here.
public struct LibavDescription: Sendable, Equatable {
    /// The libraries' versions: "libavformat 59.27.100, libavcodec 59.37.100".
    public let version: String
    /// Whether it writes H.264: libx264.
    public let hasX264: Bool
    /// Whether it writes AAC.
    public let hasAAC: Bool
    /// Whether it converts sample rates as the models were trained: soxr.
    public let hasSoxr: Bool
}

extension FFmpeg {
    /// The libav* in use.
    public static var libraries: LibavDescription {
        func version(_ number: UInt32) -> String { "\(number >> 16).\(number >> 8 & 255).\(number & 255)" }
        return LibavDescription(
            version: "libavformat \(version(avformat_version())), libavcodec \(version(avcodec_version()))",
            hasX264: avcodec_find_encoder_by_name("libx264") != nil,
            hasAAC: avcodec_find_encoder_by_name("aac") != nil,
            hasSoxr: text(swresample_configuration()).contains("--enable-libsoxr"))
    }
}
