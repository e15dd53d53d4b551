//! TLS towards receivers, checked by the system's authorities or by the one key that a subscription names.

use std::sync::{Arc, OnceLock};

use base64::Engine;
use onhook_core::notify::notification::DeliveryFailure;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use tokio_rustls::rustls::server::ParsedCertificate;
use tokio_rustls::rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};

/// Returns the key in a subscription's certificate: base64 of DER, or of PEM.
#[must_use]
pub(crate) fn public_key(text: &str) -> Option<SubjectPublicKeyInfoDer<'static>> {
    let bytes = base64::engine::general_purpose::STANDARD.decode(text).ok()?;
    let certificate = if bytes.starts_with(b"-----BEGIN ") {
        CertificateDer::from_pem_slice(&bytes).ok()?
    } else {
        CertificateDer::from(bytes)
    };
    Some(ParsedCertificate::try_from(&certificate).ok()?.subject_public_key_info())
}

/// The authorities that the system trusts, read when they are first needed.
#[derive(Default)]
pub(crate) struct Roots(OnceLock<Option<Arc<ClientConfig>>>);

impl Roots {
    fn config(&self) -> Option<Arc<ClientConfig>> {
        let read = || {
            let mut roots = RootCertStore::empty();
            let found = rustls_native_certs::load_native_certs();
            let (good, _) = roots.add_parsable_certificates(found.certs);
            if good == 0 {
                tracing::error!("no certificate authorities are installed: no receiver can be told over TLS");
            }
            let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
                .with_safe_default_protocol_versions()
                .ok()?;
            Some(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
        };
        self.0.get_or_init(read).clone()
    }

    /// Begins TLS. The other side must prove that it is `host`, or if a key is named, that it has that key.
    pub(crate) async fn speak(
        &self,
        stream: TcpStream,
        host: &str,
        key: Option<SubjectPublicKeyInfoDer<'static>>,
    ) -> Result<TlsStream<TcpStream>, DeliveryFailure> {
        let config = match key {
            None => self.config(),
            Some(key) => pinned(key),
        };
        let config = config.ok_or(DeliveryFailure::Tls)?;
        let name = ServerName::try_from(host.to_owned()).map_err(|_| DeliveryFailure::Tls)?;
        TlsConnector::from(config).connect(name, stream).await.map_err(|_| DeliveryFailure::Tls)
    }
}

fn pinned(key: SubjectPublicKeyInfoDer<'static>) -> Option<Arc<ClientConfig>> {
    let provider = Arc::new(ring::default_provider());
    let config =
        ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions().ok()?;
    let verifier = Arc::new(Pinned { key, provider });
    Some(Arc::new(config.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth()))
}

/// Accepts one key without asking an authority: naming the key is stronger than any authority's word.
#[derive(Debug)]
struct Pinned {
    key: SubjectPublicKeyInfoDer<'static>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let certificate = ParsedCertificate::try_from(certificate)?;
        if certificate.subject_public_key_info() == self.key {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(CertificateError::ApplicationVerificationFailure.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
