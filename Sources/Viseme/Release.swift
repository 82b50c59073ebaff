/// What this is, for reports and files that name their maker.
public enum Release {
    /// The version of the library and the program: the only place that has it. `docs/public-api.md` says what it promises.
    public static let version = "0.2.0"
}
