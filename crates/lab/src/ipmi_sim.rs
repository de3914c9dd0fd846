//! A BMC simulator that answers IPMI 2.0 over LAN.
