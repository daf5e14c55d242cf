//! What the tests share: servers, the binary, waiting.
