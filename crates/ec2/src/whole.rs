//! An answer that ends in the middle is no answer.
//!
//! The SDK reads XML as far as it goes: of a page that a proxy cut, or that is not EC2's, it makes
//! a page without sessions. That would look like an account in which somebody deleted everything.

use aws_sdk_ec2::config::interceptors::AfterDeserializationInterceptorContextRef;
use aws_sdk_ec2::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_ec2::error::BoxError;

/// How every document of EC2's and the balancers' ends: `</DescribeInstancesResponse>`, of errors
/// `</Response>`.
pub(crate) const QUERY: Whole = Whole("Response>");

/// Lets no document pass that does not end so.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Whole(pub(crate) &'static str);

impl Intercept for Whole {
    fn name(&self) -> &'static str {
        "vxscope whole answers"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let response = context.response();
        let body = response.body().bytes().unwrap_or_default();
        if response.status().is_success() && !body.trim_ascii_end().ends_with(self.0.as_bytes()) {
            return Err("the answer is not a whole document".into());
        }
        Ok(())
    }
}
