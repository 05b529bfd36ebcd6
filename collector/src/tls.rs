//! Certificate and key from PEM files to a rustls configuration, the same for every listener.
//!
//! The crypto provider is passed explicitly: another crate's choice of a process-wide one changes nothing here.

use std::path::Path;
use std::sync::Arc;

use model::{Error, Result};
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, ServerConfig};

/// Reads a certificate chain and its private key (PKCS#8, PKCS#1 or SEC1). Serves TLS 1.2 and 1.3, with HTTP/2
/// and HTTP/1.1 to choose from.
///
/// # Errors
/// `Invalid`, naming the file that is missing, is not PEM, or does not belong to the other.
pub fn load(certificate: &Path, key: &Path) -> Result<Arc<ServerConfig>> {
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(|certificates| certificates.collect::<std::result::Result<Vec<_>, _>>())
        .map_err(|error| unreadable("the certificate", certificate, &error))?;
    if chain.is_empty() {
        return Err(unreadable("the certificate", certificate, &pem::Error::NoItemsFound));
    }
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| unreadable("the private key", key, &error))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::internal(format!("setting up TLS: {error}")))?
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .map_err(|error| mismatch(certificate, key, &error))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn unreadable(what: &str, path: &Path, error: &pem::Error) -> Error {
    let path = path.display();
    match error {
        pem::Error::NoItemsFound => Error::invalid(format!("{what} {path} has no such PEM section"))
            .hint("it should contain a line starting with -----BEGIN"),
        pem::Error::Io(error) => Error::invalid(format!("reading {what} {path}: {error}")),
        error => Error::invalid(format!("{what} {path} is not valid PEM: {error}")),
    }
}

fn mismatch(certificate: &Path, key: &Path, error: &rustls::Error) -> Error {
    let (certificate, key) = (certificate.display(), key.display());
    Error::invalid(format!("the private key {key} does not fit the certificate {certificate}: {error}"))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn testdata(name: &str) -> PathBuf {
        Path::new("testdata").join(name)
    }

    #[test]
    fn a_pair_that_fits_is_served_with_http2_first() {
        let config = load(&testdata("localhost.crt"), &testdata("localhost.key")).expect("loads");
        assert_eq!(config.alpn_protocols, [b"h2".to_vec(), b"http/1.1".to_vec()]);
    }

    #[test]
    fn the_file_that_is_wrong_is_named() {
        let (certificate, key) = (testdata("localhost.crt"), testdata("localhost.key"));
        let message = |certificate: &Path, key: &Path| load(certificate, key).expect_err("wrong").message;
        assert!(message(&testdata("none.crt"), &key).contains("none.crt: No such file"));
        assert!(message(&certificate, &testdata("none.key")).contains("none.key: No such file"));
        assert!(message(&key, &key).contains("localhost.key has no such PEM section"), "a key is no certificate");
        assert!(message(&certificate, &certificate).contains("the private key"), "a certificate is no key");
        assert!(message(&certificate, &testdata("other.key")).contains("other.key does not fit"));
    }
}
