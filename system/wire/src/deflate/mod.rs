//! permessage-deflate (RFC 7692) as a pure codec: parameters from an offer, one compressor per room, inflation with a
//! hard limit. No sockets and no clock.
