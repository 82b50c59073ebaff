#pragma once

/// How often the calling thread has asked for memory; -1 where nobody counts: elsewhere than with glibc, and under a sanitizer.
long viseme_allocation_count(void);
