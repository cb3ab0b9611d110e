node default {
  $version = lookup('shop::version', Pattern[/\A[0-9A-Za-z.+~-]+\z/])

  # Only for a version that apt has not heard of yet.
  exec { '/usr/bin/apt-get update':
    unless => "/usr/bin/apt-cache show shop=${version}",
  }
  -> package { 'shop':
    ensure => $version,
  }
}
