/// The findings of `viseme doctor`: one for each probe, and the guilty stage.
public struct DoctorReport: Sendable, Codable {
    /// The stages that can be guilty, in the order in which they are blamed: a fault shows in everything behind it.
    public enum Stage: String, Sendable, Codable, CaseIterable {
        case files = "files and hashes"
        case contract = "model contract"
        case runtime
        case weights
        case mel
        case encoder
        case featureWindow = "window"
        case crop = "crop and mask"
        case template = "template loop"
        case colour = "colour order"
        case generator
        case articulator
        case paste
        case identity
        case golden = "golden tensors"
    }

    /// How a probe ended.
    public enum Outcome: String, Sendable, Codable {
        case good, bad
        /// Worth knowing; it does not fail the pack.
        case warn
        /// There was nothing to test with, or an earlier stage must be fixed first.
        case skipped
    }

    /// One probe.
    public struct Finding: Sendable, Codable {
        /// What was looked at.
        public var stage: Stage
        /// How it ended.
        public var outcome: Outcome
        /// What was found, with expected and actual values.
        public var message: String
        /// What to do next.
        public var advice: String?

        /// States a finding.
        public init(stage: Stage, outcome: Outcome, message: String, advice: String?) {
            self.stage = stage
            self.outcome = outcome
            self.message = message
            self.advice = advice
        }
    }

    /// Every probe, in the order in which they ran.
    public var findings: [Finding]

    /// Makes a report.
    public init(findings: [Finding] = []) { self.findings = findings }

    /// The first stage that is bad: what is behind it may only suffer from it.
    public var guilty: Stage? {
        Stage.allCases.first { stage in findings.contains { $0.stage == stage && $0.outcome == .bad } }
    }

    /// The stages with a warning.
    public var warned: [Stage] {
        Stage.allCases.filter { stage in findings.contains { $0.stage == stage && $0.outcome == .warn } }
    }

    /// Whether nothing is bad.
    public var isHealthy: Bool { guilty == nil }

    func isBad(_ stage: Stage) -> Bool { findings.contains { $0.stage == stage && $0.outcome == .bad } }

    package mutating func good(_ stage: Stage, _ message: String) {
        findings.append(Finding(stage: stage, outcome: .good, message: message, advice: nil))
    }

    package mutating func bad(_ stage: Stage, _ message: String, _ advice: String? = nil) {
        findings.append(Finding(stage: stage, outcome: .bad, message: message, advice: advice))
    }

    package mutating func warn(_ stage: Stage, _ message: String, _ advice: String? = nil) {
        findings.append(Finding(stage: stage, outcome: .warn, message: message, advice: advice))
    }

    package mutating func skip(_ stage: Stage, _ message: String) {
        findings.append(Finding(stage: stage, outcome: .skipped, message: message, advice: nil))
    }
}
