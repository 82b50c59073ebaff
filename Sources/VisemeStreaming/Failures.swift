package import Viseme

extension VisemeError.Code {
    /// The resource does not exist.
    package static let notFound = VisemeError.Code(rawValue: "not-found")
    /// The request conflicts with the present state.
    package static let conflict = VisemeError.Code(rawValue: "conflict")
    /// The request exceeds a limit of the configuration.
    package static let tooLarge = VisemeError.Code(rawValue: "too-large")
    /// The disk or the space for data is full.
    package static let full = VisemeError.Code(rawValue: "full")
    /// The capacity is in use.
    package static let busy = VisemeError.Code(rawValue: "busy")
    /// A program took too long.
    package static let timedOut = VisemeError.Code(rawValue: "timed-out")
}
