import Foundation

/// A complex discrete Fourier transform of one fixed length, in Double (Stockham's self-sorting form, any small factors).
///
/// The front end needs length 800 = 4·4·2·5·5 in double precision, which the platforms' own libraries do not offer alike.
/// `Tests/VisemeTests/Audio/FourierTransformTests.swift` holds the readable O(n²) definition that this equals.
struct FourierTransform: Sendable {
    let length: Int
    private let factors: [Int]
    /// cos and sin of −2πk/length, k in 0..<length.
    private let cosines: [Double]
    private let sines: [Double]

    init(length: Int) {
        precondition(length > 0)
        self.length = length
        var factors: [Int] = []
        var rest = length
        for candidate in [4, 2, 3, 5] {
            while rest % candidate == 0 {
                factors.append(candidate)
                rest /= candidate
            }
        }
        precondition(rest == 1, "only lengths of the factors 2, 3, 4 and 5")
        self.factors = factors
        let angles = (0..<length).map { -2 * Double.pi * Double($0) / Double(length) }
        cosines = angles.map(cos)
        sines = angles.map(sin)
    }

    /// Magnitudes |X[k]| of real input, k in 0...length/2.
    ///
    /// - Parameters:
    ///   - input: `length` real samples.
    ///   - magnitudes: Receives `length / 2 + 1` values.
    func magnitudes(of input: UnsafeBufferPointer<Double>, into magnitudes: UnsafeMutableBufferPointer<Double>) {
        precondition(input.count == length && magnitudes.count == length / 2 + 1)
        withUnsafeTemporaryAllocation(of: Double.self, capacity: 4 * length) { scratch in
            guard let start = scratch.baseAddress else { return }
            var (re, im) = (start, start + length)
            var (re2, im2) = (start + 2 * length, start + 3 * length)
            for i in 0..<length {
                re[i] = input[i]
                im[i] = 0
            }
            var size = length
            var stride = 1
            for factor in factors {
                pass(factor, size, stride, re, im, re2, im2)
                swap(&re, &re2)
                swap(&im, &im2)
                size /= factor
                stride *= factor
            }
            for k in 0...length / 2 {
                magnitudes[k] = (re[k] * re[k] + im[k] * im[k]).squareRoot()
            }
        }
    }

    /// One pass: y[q + s(pj + k)] = (Σr x[q + s(j + mr)]·w_p^{rk})·w_n^{jk}, with n = p·m.
    private func pass(
        _ p: Int, _ n: Int, _ s: Int, _ xr: UnsafeMutablePointer<Double>, _ xi: UnsafeMutablePointer<Double>,
        _ yr: UnsafeMutablePointer<Double>, _ yi: UnsafeMutablePointer<Double>
    ) {
        let m = n / p
        let perRoot = length / p  // w_p = w_length^perRoot
        let perTwiddle = length / n
        cosines.withUnsafeBufferPointer { cosines in
            sines.withUnsafeBufferPointer { sines in
                for j in 0..<m {
                    for k in 0..<p {
                        let twiddle = j * k * perTwiddle
                        let (tr, ti) = (cosines[twiddle], sines[twiddle])
                        for q in 0..<s {
                            var (sumR, sumI) = (0.0, 0.0)
                            for r in 0..<p {
                                let root = (r * k) % p * perRoot
                                let (wr, wi) = (cosines[root], sines[root])
                                let at = q + s * (j + m * r)
                                sumR += xr[at] * wr - xi[at] * wi
                                sumI += xr[at] * wi + xi[at] * wr
                            }
                            let to = q + s * (p * j + k)
                            yr[to] = sumR * tr - sumI * ti
                            yi[to] = sumR * ti + sumI * tr
                        }
                    }
                }
            }
        }
    }
}
