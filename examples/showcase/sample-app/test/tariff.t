use strict;
use warnings;
use FindBin;
require "$FindBin::Bin/../lib/tariff.pl";

my %expected = (650 => ['tea', 'cake'], 0 => ['gold']);
for my $sum (sort keys %expected) {
  my $found = total(read_tariff(), @{ $expected{$sum} });
  die "@{ $expected{$sum} } costs $found, not $sum\n" if $found != $sum;
}
print "the tariff adds up\n";
