//! Who holds which address.
