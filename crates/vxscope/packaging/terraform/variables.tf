variable "name" {
  type    = string
  default = "vxscope"
}

variable "ami_id" {
  description = "A Debian 12 or Ubuntu 24.04 image."
  type        = string
}

variable "package_url" {
  description = "Where the instance fetches vxscope's .deb from."
  type        = string
}

variable "instance_type" {
  description = "Mirrored interfaces per target: 10, of the largest sizes 100."
  type        = string
  default     = "m5.xlarge"
}

variable "traffic_subnet_id" {
  type = string
}

variable "management_subnet_id" {
  description = "Empty: the traffic subnet."
  type        = string
  default     = ""
}

variable "source_cidrs" {
  description = "Where mirrored interfaces are: nobody else may send VXLAN to the sensor."
  type        = list(string)
}

variable "management_cidrs" {
  type    = list(string)
  default = []
}

variable "key_name" {
  type    = string
  default = null
}

variable "disk_gib" {
  type    = number
  default = 50
}

variable "load_balancer" {
  description = "A Network Load Balancer in front: more sources than one interface may be the target of."
  type        = bool
  default     = false
}

variable "controller_role" {
  description = "Whether this instance also runs vxscope-controller."
  type        = bool
  default     = false
}

variable "controller_policy_json" {
  description = "The output of `vxscope-controller iam-policy`. Empty: what that says without queue, bucket and web ACLs."
  type        = string
  default     = ""
}

variable "reaper" {
  description = "A small instance of its own that brings back overdue sources."
  type        = bool
  default     = false
}

variable "tags" {
  type    = map(string)
  default = {}
}
