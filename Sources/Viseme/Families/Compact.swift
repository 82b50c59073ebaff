/// Viseme's own family: networks for processors that redraw the mouth alone.
///
/// The template stays as it is around a feathered mask, crops are copied and never resized, and each mel column is heard twice.
/// The temporal network is a part of the generator: `docs/decisions/0018-no-state-in-the-audio-encoder.md` says why.
extension GeneratorFamily {
    /// The compact family.
    ///
    /// | stage | shapes |
    /// |---|---|
    /// | mel | 16 kHz → 80 bands every 10 ms, −4…4 |
    /// | audio encoder | (B, 80, 8), 80 ms from the frame's beginning on → (B, 96) |
    /// | feature window | 32 rows, k−27 … k+4 → (1, 32, 96) row-major |
    /// | articulator | (B, 32, 96) → (B, 42): `MouthShape` |
    /// | generator | (1, 6, H, W): roi B G R, masked roi B G R, 0…1 → (1, 3, H, W), B G R |
    public static let compact = GeneratorFamily(
        name: "compact",
        // librosa.stft(n_fft=512, win_length=400, hop_length=160): half as long a window as SyncTalk_2D's hears 6 dB less, hence
        // the reference of 14 dB. 1120 samples give 8 columns.
        mel: MelFrontEnd(
            sampleRate: 16_000, hopSamples: 160, windowSamples: 400, spectrumSamples: 512, bandCount: 80,
            bandLimits: 55...7600, preEmphasis: 0.97, referenceLevel: 14, silence: -4, minimumSamples: 1120),
        frameRate: 25,
        // Window k begins at column 4·k, where frame k does.
        melWindow: MelWindow(columns: 8, hopColumns: 4, hopWindows: 1, surplus: 2),
        featureWindow: FeatureWindow(rowWidth: 96, rows: 32, rowsBefore: 27, edgeCopies: 0, choices: [.rows32]),
        audioEncoder: TensorContract(
            inputs: [.init(.mel, "mel input", name: "mel", [.fixed(80), .fixed(8)])],
            outputs: [.init(.features, "features", name: "features", [.fixed(96)])]),
        generator: TensorContract(
            inputs: [
                .init(.image, "image input", name: "image", [.fixed(6), .height, .width]),
                .init(.audio, "audio input", name: "audio", [.fixed(32), .fixed(96)]),
            ],
            outputs: [.init(.mouth, "mouth", name: "output", [.fixed(3), .height, .width])],
            // Four halvings.
            pictures: PictureSizes(widths: 192...512, heights: 128...512, step: 16)),
        articulator: TensorContract(
            inputs: [.init(.audio, "audio input", name: "audio", [.fixed(32), .fixed(96)])],
            outputs: [.init(.articulation, "articulation", name: "articulation", [.fixed(MouthShape.valueCount)])]),
        geometries: [CropGeometry(copied: PixelSize(width: 320, height: 224))],
        flattenedMask: nil,
        colourOrder: .bgr,
        valueRange: [0, 1],
        composition: .blended)
}
