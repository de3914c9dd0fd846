//! RMCP+ and IPMI 2.0.
