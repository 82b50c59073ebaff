import Foundation

/// What glibc's heap is told; other systems' heaps need no telling.
enum Heap {
    /// Makes one arena that keeps what is freed.
    ///
    /// Left alone, glibc keeps big buffers in one arena a thread, and a render's memory grows with its length; mapped one by one, the
    /// kernel clears them again for every frame: a fifth of all processor time.
    static func keepWhatIsFreed() {
        #if canImport(Glibc)
            // Swift's Glibc module lacks malloc.h: M_ARENA_MAX is -8, M_MMAP_THRESHOLD -3 and M_TRIM_THRESHOLD -1.
            typealias Mallopt = @convention(c) (CInt, CInt) -> CInt
            if let symbol = dlsym(nil, "mallopt") {
                let mallopt = unsafeBitCast(symbol, to: Mallopt.self)
                for (option, value) in [(-8, 1), (-3, 32 << 20), (-1, 64 << 20)] as [(CInt, CInt)] {
                    _ = mallopt(option, value)
                }
            }
        #endif
    }

    /// Gives back what loading has left: the models were read, parsed and cut, and are now ONNX Runtime's.
    static func giveBackWhatIsFree() {
        #if canImport(Glibc)
            typealias Trim = @convention(c) (Int) -> CInt
            if let symbol = dlsym(nil, "malloc_trim") { _ = unsafeBitCast(symbol, to: Trim.self)(0) }
        #endif
    }
}
