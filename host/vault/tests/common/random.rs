//! Random numbers that can be had again: the seed is printed, and `KEYPORT_TEST_SEED` sets it.

#![allow(dead_code, reason = "each test binary uses its part")]

/// xorshift64*.
pub struct Random(u64);

impl Random {
    /// A new seed, said for the test of this name.
    pub fn said(test: &str) -> Self {
        let given = std::env::var("KEYPORT_TEST_SEED")
            .ok()
            .and_then(|seed| seed.parse().ok());
        let seed = given.unwrap_or_else(|| getrandom::u64().unwrap());
        eprintln!("{test}: KEYPORT_TEST_SEED={seed}");
        Self(seed | 1)
    }

    /// Another one, for a part of the test that runs at the same time.
    pub fn fork(&mut self) -> Self {
        Self(self.next() | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// One of 0 to `end` - 1.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// True this many times out of a hundred.
    pub fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }
}

/// Whether the long form of the proofs is wanted.
pub fn full() -> bool {
    std::env::var("KEYPORT_PROOF").is_ok_and(|proof| proof == "full")
}
