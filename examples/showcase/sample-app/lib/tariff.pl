use strict;
use warnings;

# Prices in cents.
sub read_tariff { return { tea => 250, cake => 400 } }

sub total {
  my ($tariff, @items) = @_;
  my $sum = 0;
  $sum += $tariff->{$_} // 0 for @items;
  return $sum;
}

1;
