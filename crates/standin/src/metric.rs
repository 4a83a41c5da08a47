//! `CloudWatch`, as far as it is asked what instances sent: sums of `AWS/EC2` by instance. It speaks
//! CBOR, which moto does not.

use std::collections::BTreeMap;

use minicbor::data::{Tag, Type};
use minicbor::decode::Error;
use minicbor::{Decoder, Encoder};
use serde_json::{Map, Value, json};

use crate::account::Account;

/// Sums by instance, name, and seconds since 1970.
pub(crate) type Metrics = BTreeMap<(String, String), BTreeMap<u64, u64>>;

impl Account {
    /// What an instance counted in the period that began then.
    pub fn put_metric(&mut self, instance: &str, name: &str, at: u64, sum: u64) {
        let key = (instance.to_owned(), name.to_owned());
        self.metrics.entry(key).or_default().insert(at, sum);
    }

    /// What `GetMetricData` says; `None` if nobody can read the question.
    pub(crate) fn metric_data(&self, body: &[u8]) -> Option<Vec<u8>> {
        let asked = value(&mut Decoder::new(body)).ok()?;
        let time = |key: &str| {
            let seconds = asked.get(key)?.as_f64()?;
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a float that is too large or below zero becomes the nearest"
            )]
            let whole = seconds as u64;
            Some(whole)
        };
        let (from, to) = (time("StartTime")?, time("EndTime")?);
        let mut results = Vec::new();
        for query in asked.get("MetricDataQueries")?.as_array()? {
            let metric = query.pointer("/MetricStat/Metric")?;
            let instance = metric.pointer("/Dimensions/0/Value")?.as_str()?;
            let name = metric.get("MetricName")?.as_str()?;
            let sums = self.metrics.get(&(instance.to_owned(), name.to_owned()));
            let sums = sums.into_iter().flat_map(|sums| sums.range(from..to));
            let sums: Vec<(u64, u64)> = sums.map(|(at, sum)| (*at, *sum)).collect();
            results.push((query.get("Id")?.as_str()?.to_owned(), sums));
        }
        write(&results).ok()
    }
}

fn write(
    results: &[(String, Vec<(u64, u64)>)],
) -> Result<Vec<u8>, minicbor::encode::Error<std::convert::Infallible>> {
    let mut out = Encoder::new(Vec::new());
    let count = |length: usize| u64::try_from(length).unwrap_or(0);
    out.map(1)?
        .str("MetricDataResults")?
        .array(count(results.len()))?;
    for (id, sums) in results {
        out.map(4)?.str("Id")?.str(id)?;
        out.str("StatusCode")?.str("Complete")?;
        out.str("Timestamps")?.array(count(sums.len()))?;
        for (at, _) in sums {
            out.tag(Tag::new(1))?.u64(*at)?;
        }
        out.str("Values")?.array(count(sums.len()))?;
        for (_, sum) in sums {
            #[expect(clippy::cast_precision_loss, reason = "CloudWatch has floats")]
            let sum = *sum as f64;
            out.f64(sum)?;
        }
    }
    Ok(out.into_writer())
}

/// CBOR, as far as questions have it.
fn value(from: &mut Decoder<'_>) -> Result<Value, Error> {
    Ok(match from.datatype()? {
        Type::String => json!(from.str()?),
        Type::StringIndef => json!(from.str_iter()?.collect::<Result<Vec<_>, _>>()?.concat()),
        Type::Bool => json!(from.bool()?),
        Type::F16 | Type::F32 | Type::F64 => json!(from.f64()?),
        Type::Tag => {
            from.tag()?;
            value(from)?
        }
        Type::Array | Type::ArrayIndef => {
            let mut left = from.array()?;
            let mut all = Vec::new();
            while more(from, &mut left)? {
                all.push(value(from)?);
            }
            Value::Array(all)
        }
        Type::Map | Type::MapIndef => {
            let mut left = from.map()?;
            let mut all = Map::new();
            while more(from, &mut left)? {
                let key = from.str()?.to_owned();
                all.insert(key, value(from)?);
            }
            Value::Object(all)
        }
        Type::Null | Type::Undefined => {
            from.skip()?;
            Value::Null
        }
        _ => json!(i64::try_from(from.int()?).unwrap_or(i64::MAX)),
    })
}

/// Whether another one follows, of so many, or until the break.
fn more(from: &mut Decoder<'_>, left: &mut Option<u64>) -> Result<bool, Error> {
    if let Some(count) = left {
        let some = *count > 0;
        *count = count.saturating_sub(1);
        return Ok(some);
    }
    if from.datatype()? == Type::Break {
        from.skip()?;
        return Ok(false);
    }
    Ok(true)
}
