//! Mirror sessions over the EC2 API.
