//! From records to ratios with intervals, validity and calls. Pure.
