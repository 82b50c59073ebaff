import Viseme

/// A sum of products that a file decides about: it throws where plain integers would overflow.
struct WorkCount {
    private(set) var total = 0

    /// Adds the product of some factors; nothing where there are none.
    ///
    /// - Throws: `.badData` beyond 2⁶³.
    mutating func add(_ factors: [Int]) throws {
        guard !factors.isEmpty else { return }
        guard let product = StoredTensor.count(of: factors) else { throw Self.tooLarge }
        let (sum, overflow) = total.addingReportingOverflow(product)
        guard !overflow else { throw Self.tooLarge }
        total = sum
    }

    private static var tooLarge: VisemeError {
        VisemeError(
            .badData, "The network has more operations than can be counted.",
            hint: "The file is damaged or was made to do harm: fetch or export it again.")
    }
}
