//! From records and prices to money. Pure.
