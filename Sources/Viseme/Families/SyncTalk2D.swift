/// The inherited family: SyncTalk_2D, and its parent Ultralight-Digital-Human. Its reference is SyncTalk_2D's own Python.
///
/// A network trained with one set of numbers speaks nonsense with another. This file is the one home of these.
extension GeneratorFamily {
    /// SyncTalk_2D with the audio encoder `ave`.
    ///
    /// | stage | shapes |
    /// |---|---|
    /// | mel | 16 kHz → 80 bands every 12.5 ms, −4…4 |
    /// | audio encoder | (B, 1, 80, 16), 200 ms from the frame's beginning on → (B, 512) |
    /// | feature window | 16 rows, k−8 … k+7 → (1, 32, 16, 16) row-major |
    /// | generator | (1, 6, S, S): roi B G R, masked roi B G R, 0…1 → (1, 3, S, S), B G R; S is 320, or 160 |
    public static let syncTalk2D = GeneratorFamily(
        name: "synctalk-2d",
        // The reference's librosa.filters.mel(sr=16000, n_fft=800, n_mels=80, fmin=55, fmax=7600). 3000 samples give 16 columns.
        mel: MelFrontEnd(
            sampleRate: 16_000, hopSamples: 200, windowSamples: 800, spectrumSamples: 800, bandCount: 80,
            bandLimits: 55...7600,
            preEmphasis: 0.97, referenceLevel: 20, silence: -4, minimumSamples: 3000),
        frameRate: 25,
        // Window k begins at column floor(16·k/5); T columns have trunc((T − 16)/80·25) + 2 windows.
        melWindow: MelWindow(columns: 16, hopColumns: 16, hopWindows: 5, surplus: 2),
        // Audio rows are F0, F0, F1, …, F(n−1), F(n−1).
        featureWindow: FeatureWindow(
            rowWidth: 512, rows: 16, rowsBefore: 8, edgeCopies: 1, choices: [.rows16, .tile]),
        audioEncoder: TensorContract(
            inputs: [.init(.mel, "mel input", name: "mel", [.fixed(1), .fixed(80), .fixed(16)])],
            outputs: [.init(.features, "features", name: "features", [.fixed(512)])]),
        generator: TensorContract(
            inputs: [
                .init(.image, "image input", name: "image", [.fixed(6), .height, .width]),
                .init(.audio, "audio input", name: "audio", [.fixed(32), .fixed(16), .fixed(16)]),
            ],
            outputs: [.init(.mouth, "mouth", name: "output", [.fixed(3), .height, .width])]),
        articulator: nil,
        geometries: [
            CropGeometry(crop: 328, roi: 320, border: 4, mask: [5, 5, 315, 310]),
            // The legacy variant, Ultralight's.
            CropGeometry(crop: 168, roi: 160, border: 4, mask: [5, 5, 155, 150]),
        ],
        flattenedMask: [5, 5, 311, 306],
        colourOrder: .bgr,
        valueRange: [0, 1],
        composition: .insideBorder)
}
