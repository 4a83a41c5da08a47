output "mirror_target_id" {
  value = aws_ec2_traffic_mirror_target.sensor.id
}

output "mirror_filter_id" {
  value = aws_ec2_traffic_mirror_filter.all.id
}

output "traffic_interface_id" {
  value = aws_network_interface.traffic.id
}

output "management_address" {
  value = aws_network_interface.management.private_ip
}
