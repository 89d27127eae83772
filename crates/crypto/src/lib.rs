//! Keys, key derivation, authenticated encryption and sealed files.
