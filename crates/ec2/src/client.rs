//! Clients of AWS: where, as whom, and how long they wait.

use std::path::PathBuf;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_runtime::env_config::file::{EnvConfigFileKind, EnvConfigFiles};
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;

use crate::whole;

/// Where and how to reach AWS. Credentials come by the standard chain: environment, profile,
/// SSO, container, instance role (IMDSv2).
#[derive(Clone, Debug)]
pub struct Settings {
    /// Such as `us-east-1`; by the standard chain if absent.
    pub region: Option<String>,
    /// Credentials in the format of `~/.aws/credentials`, and instead of it: for a service whose
    /// manager hands them over as a file.
    pub credentials_file: Option<PathBuf>,
    /// Instead of AWS's own; `AWS_ENDPOINT_URL` if absent.
    pub endpoint: Option<String>,
    /// For a connection; then the call fails.
    pub connect_timeout: Duration,
    /// For an answer; then nobody knows what became of the call.
    pub call_timeout: Duration,
    /// Calls of readings: so many at once, and so many thousandths of one a second. The default is
    /// half of what EC2 gives for readings of everything, 50 and 10.
    pub readings: (u32, u64),
    /// The first and the longest wait before a page of a reading is asked for again.
    pub waits: (Duration, Duration),
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            region: None,
            credentials_file: None,
            endpoint: None,
            connect_timeout: Duration::from_secs(2),
            call_timeout: Duration::from_secs(10),
            readings: (25, 5_000),
            waits: (Duration::from_millis(500), Duration::from_secs(8)),
        }
    }
}

/// What all calls are made with.
#[derive(Clone, Debug)]
pub(crate) struct Clients {
    pub(crate) ec2: aws_sdk_ec2::Client,
    pub(crate) s3: aws_sdk_s3::Client,
    pub(crate) sts: aws_sdk_sts::Client,
    pub(crate) elb: aws_sdk_elasticloadbalancingv2::Client,
    pub(crate) waf: aws_sdk_wafv2::Client,
    pub(crate) cloudwatch: aws_sdk_cloudwatch::Client,
    pub(crate) sqs: aws_sdk_sqs::Client,
    pub(crate) region: String,
}

impl Clients {
    /// Reads the environment; asks nobody but, for the Region, the metadata service.
    pub(crate) async fn connect(settings: &Settings) -> Self {
        let config = shared(settings).await;
        let region = config.region().map_or("", |region| region.as_ref());
        let ec2 = aws_sdk_ec2::config::Builder::from(&config).interceptor(whole::QUERY);
        let elb = aws_sdk_elasticloadbalancingv2::config::Builder::from(&config);
        let elb = elb.interceptor(whole::QUERY);
        // Whoever plays S3 elsewhere has no names for buckets.
        let elsewhere = config.endpoint_url().is_some();
        let s3 = aws_sdk_s3::config::Builder::from(&config).force_path_style(elsewhere);
        Self {
            region: region.to_owned(),
            s3: aws_sdk_s3::Client::from_conf(s3.build()),
            ec2: aws_sdk_ec2::Client::from_conf(ec2.build()),
            sts: aws_sdk_sts::Client::new(&config),
            elb: aws_sdk_elasticloadbalancingv2::Client::from_conf(elb.build()),
            waf: aws_sdk_wafv2::Client::new(&config),
            cloudwatch: aws_sdk_cloudwatch::Client::new(&config),
            sqs: aws_sdk_sqs::Client::new(&config),
        }
    }
}

async fn shared(settings: &Settings) -> SdkConfig {
    let http = aws_smithy_http_client::Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .build_https();
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(settings.connect_timeout)
        .operation_timeout(settings.call_timeout)
        .build();
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http)
        .timeout_config(timeouts)
        .retry_config(RetryConfig::disabled());
    if let Some(region) = &settings.region {
        loader = loader.region(Region::new(region.clone()));
    }
    if let Some(file) = &settings.credentials_file {
        let files = EnvConfigFiles::builder()
            .include_default_config_file(true)
            .with_file(EnvConfigFileKind::Credentials, file);
        loader = loader.profile_files(files.build());
    }
    if let Some(endpoint) = &settings.endpoint {
        loader = loader.endpoint_url(endpoint);
    }
    loader.load().await
}
