//! What CloudWatch counted: what instances copied, and what they had no bandwidth to copy.

use std::collections::BTreeMap;

use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{Dimension, Metric, MetricDataQuery, MetricStat};
use vxscope_control::mirror::ApiError;
use vxscope_enrolment::assurance::{METRICS, PERIOD, Sent};

use crate::error::{api_error, incomplete};

/// Metrics of a call at most (CloudWatch).
const QUERIES_MAX: usize = 500;
/// Pages of an answer at most.
const PAGES_MAX: usize = 10;
/// Copied, to be copied and dropped, and all, each in and out.
const NAMES: [&str; 6] = [
    "NetworkMirrorIn",
    "NetworkMirrorOut",
    "NetworkSkipMirrorIn",
    "NetworkSkipMirrorOut",
    "NetworkIn",
    "NetworkOut",
];

const _: () = assert!(NAMES.len() as u64 == METRICS, "the budget counts them");

/// What is asked of CloudWatch. Each metric of each instance is billed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricsAsk {
    /// Of which instances.
    pub instances: Vec<String>,
    /// Since when, seconds since 1970; a multiple of [`PERIOD`].
    pub from: u64,
}

impl MetricsAsk {
    /// What each counted in one period. Instances of which there is nothing are left out.
    pub(crate) async fn run(self, client: &Client) -> Result<BTreeMap<String, Sent>, ApiError> {
        let mut found = BTreeMap::new();
        for some in self.instances.chunks(QUERIES_MAX / NAMES.len()) {
            let sums = self.sums(client, some).await?;
            for (at, instance) in some.iter().enumerate() {
                let of = |name: usize| sums.get(&id(at, name)).copied();
                let sum = |one: usize, other: usize| of(one).unwrap_or(0) + of(other).unwrap_or(0);
                // Every instance that runs has these.
                if of(4).is_some() || of(5).is_some() {
                    let sent = Sent {
                        mirrored: sum(0, 1),
                        skipped: sum(2, 3),
                        all: sum(4, 5),
                    };
                    found.insert(instance.clone(), sent);
                }
            }
        }
        Ok(found)
    }

    /// Bytes, by the number of the question.
    async fn sums(
        &self,
        client: &Client,
        instances: &[String],
    ) -> Result<BTreeMap<String, u64>, ApiError> {
        let names = 0..NAMES.len();
        let queries = instances.iter().enumerate();
        let queries: Vec<MetricDataQuery> = queries
            .flat_map(|(at, instance)| names.clone().map(move |name| query(at, name, instance)))
            .collect();
        let time = |seconds: u64| DateTime::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX));
        let (mut sums, mut next) = (BTreeMap::new(), None);
        for _ in 0..PAGES_MAX {
            let call = client
                .get_metric_data()
                .set_metric_data_queries(Some(queries.clone()))
                .start_time(time(self.from))
                .end_time(time(self.from + PERIOD.as_secs()))
                .set_next_token(next);
            let page = call.send().await.map_err(|error| api_error(&error))?;
            for result in page.metric_data_results.unwrap_or_default() {
                let values = result.values.unwrap_or_default();
                if let (Some(id), false) = (result.id, values.is_empty()) {
                    *sums.entry(id).or_insert(0) += bytes(values.iter().sum());
                }
            }
            next = page.next_token;
            if next.is_none() {
                return Ok(sums);
            }
        }
        Err(incomplete("last page"))
    }
}

fn query(at: usize, name: usize, instance: &str) -> MetricDataQuery {
    let of = Dimension::builder().name("InstanceId").value(instance);
    let metric = Metric::builder()
        .namespace("AWS/EC2")
        .metric_name(NAMES[name])
        .dimensions(of.build());
    let period = i32::try_from(PERIOD.as_secs()).unwrap_or(i32::MAX);
    let sum = MetricStat::builder().metric(metric.build()).stat("Sum");
    MetricDataQuery::builder()
        .id(id(at, name))
        .metric_stat(sum.period(period).build())
        .build()
}

fn id(at: usize, name: usize) -> String {
    format!("m{at}x{name}")
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float that is too large or below zero becomes the nearest"
)]
fn bytes(sum: f64) -> u64 {
    sum.round() as u64
}
