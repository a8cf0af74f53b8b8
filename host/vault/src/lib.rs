//! Sealed storage: the keyring, the record envelope and the store behind them.
