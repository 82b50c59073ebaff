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
                if factor == 4 {
                    passOfFour(size, stride, re, im, re2, im2)
                } else {
                    pass(factor, size, stride, re, im, re2, im2)
                }
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

    /// A pass with p = 4, whose roots are 1, −i, −1 and i: an eighth of the time of the general one.
    private func passOfFour(
        _ n: Int, _ s: Int, _ xr: UnsafeMutablePointer<Double>, _ xi: UnsafeMutablePointer<Double>,
        _ yr: UnsafeMutablePointer<Double>, _ yi: UnsafeMutablePointer<Double>
    ) {
        let m = n / 4
        let perTwiddle = length / n
        cosines.withUnsafeBufferPointer { cosines in
            sines.withUnsafeBufferPointer { sines in
                for j in 0..<m {
                    let (t1, t2, t3) = (j * perTwiddle, 2 * j * perTwiddle, 3 * j * perTwiddle)
                    let (c1, c2, c3) = (cosines[t1], cosines[t2], cosines[t3])
                    let (s1, s2, s3) = (sines[t1], sines[t2], sines[t3])
                    for q in 0..<s {
                        let (a, to) = (q + s * j, q + 4 * s * j)
                        let (b, c, d) = (a + s * m, a + 2 * s * m, a + 3 * s * m)
                        let (sumR, sumI, gapR, gapI) = (xr[a] + xr[c], xi[a] + xi[c], xr[a] - xr[c], xi[a] - xi[c])
                        let (oddR, oddI, turnR, turnI) = (xr[b] + xr[d], xi[b] + xi[d], xi[b] - xi[d], xr[d] - xr[b])
                        (yr[to], yi[to]) = (sumR + oddR, sumI + oddI)
                        let (r1, i1, r2, i2) = (gapR + turnR, gapI + turnI, sumR - oddR, sumI - oddI)
                        let (r3, i3) = (gapR - turnR, gapI - turnI)
                        (yr[to + s], yi[to + s]) = (r1 * c1 - i1 * s1, r1 * s1 + i1 * c1)
                        (yr[to + 2 * s], yi[to + 2 * s]) = (r2 * c2 - i2 * s2, r2 * s2 + i2 * c2)
                        (yr[to + 3 * s], yi[to + 3 * s]) = (r3 * c3 - i3 * s3, r3 * s3 + i3 * c3)
                    }
                }
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
