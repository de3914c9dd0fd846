//! DHCP as the netboot server speaks it (RFC 2131, RFC 2132, RFC 4578).
