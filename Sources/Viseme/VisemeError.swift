/// The one error type of Viseme: what went wrong, what was expected, and what to do next.
///
/// `message` names the thing (a path, a tensor, a frame) with the expected and the actual value; `hint` is the next action,
/// ideally a command. Describing an error has no effect. `CancellationError` is never wrapped.
public struct VisemeError: Error, Sendable {
    /// A stable, coarse class of failure. A struct, so that a new code does not break a caller's `switch`.
    public struct Code: RawRepresentable, Hashable, Sendable {
        /// The name of the code, as printed in JSON.
        public let rawValue: String

        /// Makes a code from its name.
        public init(rawValue: String) { self.rawValue = rawValue }

        /// The caller used an option or a parameter wrongly.
        public static let usage = Code(rawValue: "usage")
        /// An input exists but its content is wrong: a corrupt file, a wrong hash, a wrong shape.
        public static let badData = Code(rawValue: "bad-data")
        /// An input does not exist or cannot be opened.
        public static let noInput = Code(rawValue: "no-input")
        /// A library, codec, device or provider that was asked for is not there.
        public static let unavailable = Code(rawValue: "unavailable")
        /// A well-formed request for something that Viseme does not do.
        public static let unsupported = Code(rawValue: "unsupported")
        /// An output cannot be created or written.
        public static let cannotCreate = Code(rawValue: "cannot-create")
        /// A result cannot be written to where it was asked for, such as standard output on a full disk.
        public static let cannotWrite = Code(rawValue: "cannot-write")
        /// A native library failed for a reason other than the input.
        public static let `internal` = Code(rawValue: "internal")
    }

    /// The class of failure.
    public var code: Code
    /// The thing, expected and actual.
    public var message: String
    /// The next action.
    public var hint: String?
    /// The underlying error, if another library raised one.
    public var cause: (any Error)?

    /// Makes an error.
    public init(_ code: Code, _ message: String, hint: String? = nil, cause: (any Error)? = nil) {
        self.code = code
        self.message = message
        self.hint = hint
        self.cause = cause
    }
}

extension VisemeError: CustomStringConvertible {
    /// The message, the cause and the hint, one a line.
    public var description: String {
        var lines = [message]
        if let cause { lines.append("cause: \(cause)") }
        if let hint { lines.append("hint: \(hint)") }
        return lines.joined(separator: "\n")
    }
}
