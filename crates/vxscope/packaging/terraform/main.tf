# A vxscope sensor: one instance with two interfaces, its security groups, a traffic mirror target
# and a filter. With `load_balancer` the target is a Network Load Balancer in front of it.
# The sensor itself gets no AWS permission; the controller's role is apart (`controller_role`).

terraform {
  required_version = ">= 1.5"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0"
    }
  }
}

data "aws_subnet" "traffic" {
  id = var.traffic_subnet_id
}

locals {
  management_subnet_id = coalesce(var.management_subnet_id, var.traffic_subnet_id)
}

resource "aws_security_group" "traffic" {
  name_prefix = "Sensor-TrafficSecurityGroup"
  description = "vxscope: mirrored traffic in, nothing else"
  vpc_id      = data.aws_subnet.traffic.vpc_id
  tags        = var.tags

  ingress {
    description = "VXLAN of mirror sources"
    protocol    = "udp"
    from_port   = 4789
    to_port     = 4789
    cidr_blocks = var.source_cidrs
  }

  dynamic "ingress" {
    for_each = var.load_balancer ? [1] : []
    content {
      description = "Health check of the load balancer"
      protocol    = "tcp"
      from_port   = 80
      to_port     = 80
      cidr_blocks = [data.aws_subnet.traffic.cidr_block]
    }
  }
}

resource "aws_security_group" "management" {
  name_prefix = "Sensor-ManagementSecurityGroup"
  description = "vxscope: administration"
  vpc_id      = data.aws_subnet.traffic.vpc_id
  tags        = var.tags

  dynamic "ingress" {
    for_each = length(var.management_cidrs) > 0 ? [1] : []
    content {
      description = "SSH, and through it the page"
      protocol    = "tcp"
      from_port   = 22
      to_port     = 22
      cidr_blocks = var.management_cidrs
    }
  }

  egress {
    protocol    = "-1"
    from_port   = 0
    to_port     = 0
    cidr_blocks = ["0.0.0.0/0"]
  }
}

resource "aws_network_interface" "traffic" {
  subnet_id       = var.traffic_subnet_id
  security_groups = [aws_security_group.traffic.id]
  description     = "vxscope: mirrored traffic"
  tags            = merge(var.tags, { Name = "${var.name}-traffic" })
}

resource "aws_network_interface" "management" {
  subnet_id       = local.management_subnet_id
  security_groups = [aws_security_group.management.id]
  description     = "vxscope: management"
  tags            = merge(var.tags, { Name = "${var.name}-management" })
}

resource "aws_instance" "sensor" {
  ami                  = var.ami_id
  instance_type        = var.instance_type
  key_name             = var.key_name
  iam_instance_profile = var.controller_role ? aws_iam_instance_profile.program["controller"].name : null
  tags                 = merge(var.tags, { Name = var.name })
  user_data            = templatefile("${path.module}/cloud-init.yaml.tftpl", { package_url = var.package_url, balanced = var.load_balancer, services = "vxscope-tune vxscope" })

  network_interface {
    device_index         = 0
    network_interface_id = aws_network_interface.management.id
  }
  network_interface {
    device_index         = 1
    network_interface_id = aws_network_interface.traffic.id
  }
  metadata_options {
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }
  root_block_device {
    encrypted   = true
    volume_size = var.disk_gib
  }
}

# Brings back whoever is overdue, whatever becomes of sensor and controller, by a role of its own
# that can delete nothing. It takes the configuration and the [reaper] key_file of the controller, which nobody but you has.
resource "aws_instance" "reaper" {
  count                = var.reaper ? 1 : 0
  ami                  = var.ami_id
  instance_type        = "t3.nano"
  key_name             = var.key_name
  subnet_id            = local.management_subnet_id
  iam_instance_profile = aws_iam_instance_profile.program["reaper"].name
  tags                 = merge(var.tags, { Name = "${var.name}-reaper" })
  user_data            = templatefile("${path.module}/cloud-init.yaml.tftpl", { package_url = var.package_url, balanced = false, services = "vxscope-reap.timer" })

  vpc_security_group_ids = [aws_security_group.management.id]
  metadata_options {
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }
  root_block_device {
    encrypted = true
  }
}

resource "aws_lb" "sensor" {
  count              = var.load_balancer ? 1 : 0
  name_prefix        = "vxs-"
  internal           = true
  load_balancer_type = "network"
  subnets            = [var.traffic_subnet_id]
  tags               = var.tags
}

resource "aws_lb_target_group" "sensor" {
  count       = var.load_balancer ? 1 : 0
  name_prefix = "vxs-"
  port        = 4789
  protocol    = "UDP"
  target_type = "ip"
  vpc_id      = data.aws_subnet.traffic.vpc_id
  tags        = var.tags

  health_check {
    protocol = "HTTP"
    path     = "/api/2.0/status"
    port     = "80"
    interval = 10
  }
}

resource "aws_lb_target_group_attachment" "sensor" {
  count            = var.load_balancer ? 1 : 0
  target_group_arn = aws_lb_target_group.sensor[0].arn
  target_id        = aws_network_interface.traffic.private_ip
}

resource "aws_lb_listener" "sensor" {
  count             = var.load_balancer ? 1 : 0
  load_balancer_arn = aws_lb.sensor[0].arn
  port              = 4789
  protocol          = "UDP"

  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.sensor[0].arn
  }
}

resource "aws_ec2_traffic_mirror_target" "sensor" {
  description               = "vxscope ${var.name}"
  network_interface_id      = var.load_balancer ? null : aws_network_interface.traffic.id
  network_load_balancer_arn = var.load_balancer ? aws_lb.sensor[0].arn : null
  # By the first tag the controller may leave its signs of life.
  tags = merge({ managed-by = "vxscope" }, var.tags)
}

# Everything, both ways, both families, and DNS to the resolver of the VPC.
resource "aws_ec2_traffic_mirror_filter" "all" {
  description      = "STA - Mirror Filter - All"
  network_services = ["amazon-dns"]
  tags             = merge(var.tags, { Name = "STA - Mirror Filter - All" })
}

locals {
  families = { ipv4 = "0.0.0.0/0", ipv6 = "::/0" }
  rules = {
    for pair in setproduct(["ingress", "egress"], ["ipv4", "ipv6"]) :
    "${pair[0]}-${pair[1]}" => { direction = pair[0], cidr = local.families[pair[1]], number = pair[1] == "ipv4" ? 10 : 20 }
  }
}

resource "aws_ec2_traffic_mirror_filter_rule" "all" {
  for_each                 = local.rules
  traffic_mirror_filter_id = aws_ec2_traffic_mirror_filter.all.id
  traffic_direction        = each.value.direction
  rule_number              = each.value.number
  rule_action              = "accept"
  source_cidr_block        = each.value.cidr
  destination_cidr_block   = each.value.cidr
}

# The controller's role: what `vxscope-controller iam-policy` prints for a load balancer as the
# target is in controller-policy.json; what it prints for your configuration can be given instead.
data "aws_iam_policy_document" "assume" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["ec2.amazonaws.com"]
    }
  }
}

locals {
  roles = merge(
    var.controller_role ? { controller = coalesce(var.controller_policy_json, file("${path.module}/controller-policy.json")) } : {},
    # That of `vxscope-controller export reaper`, which is the same as a function.
    var.reaper ? { reaper = file("${path.module}/reaper-policy.json") } : {},
  )
}

resource "aws_iam_role" "program" {
  for_each           = local.roles
  name_prefix        = "vxscope-${each.key}-"
  assume_role_policy = data.aws_iam_policy_document.assume.json
  tags               = var.tags
}

resource "aws_iam_role_policy" "program" {
  for_each = local.roles
  name     = "vxscope-${each.key}"
  role     = aws_iam_role.program[each.key].id
  policy   = each.value
}

resource "aws_iam_instance_profile" "program" {
  for_each    = local.roles
  name_prefix = "vxscope-${each.key}-"
  role        = aws_iam_role.program[each.key].name
}
